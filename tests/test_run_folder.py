"""One process at a time works in a run folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from headway.errors import FolderError
from headway.run_folder import RunFolder

HOLD = "import sys; from headway.run_folder import RunFolder; from pathlib import Path\n"
HOLD += "with RunFolder(Path(sys.argv[1])).locked(): print('held', flush=True); sys.stdin.read()"


def held_by_another(folder: Path) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdin=pipe, stdout=pipe, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    return other


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    other = held_by_another(tmp_path)
    for _ in range(2):  # nor does asking free it
        with pytest.raises(FolderError, match="another process works here"), RunFolder(tmp_path).locked():
            pass
    other.communicate()
    with RunFolder(tmp_path).locked():
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    other = held_by_another(tmp_path)
    other.kill()
    other.communicate()
    assert (tmp_path / "run.lock").exists()
    with RunFolder(tmp_path).locked():
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_failure_inside_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), RunFolder(tmp_path).locked():
        raise ValueError("inside")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [[], ["run.lock"], ["run.json", ".run.json.7.part", ".recipe.toml.8.part"]])
def test_what_a_start_leaves_that_was_killed_at_once_is_nothing(tmp_path: Path, names: list[str]) -> None:
    folder = tmp_path / "run"
    assert not RunFolder(folder).is_taken
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    assert not RunFolder(folder).is_taken
    (folder / "mine.txt").touch()
    assert RunFolder(folder).is_taken


def test_a_folder_with_a_recipe_is_taken(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").touch()
    assert RunFolder(tmp_path).is_taken
