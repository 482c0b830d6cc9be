"""Folders and files are whole or not there, wherever the process that wrote them was killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import SafetensorError

from headway.errors import FolderError
from headway.sealed_folder import MANIFEST, check_file, read_manifest, sealing, settle, write_whole, writing

KILLED_BETWEEN_RENAMES = """
import os, sys
from pathlib import Path
from headway.sealed_folder import sealing

folder = Path(sys.argv[1])
rename = Path.rename

def once(path, target):
    found = rename(path, target)
    os._exit(9) if str(target).endswith(".old") else None
    return found

Path.rename = once
with sealing(folder, "test", 1) as beside:
    (beside / "content").write_text("new")
"""


def seal(folder: Path, content: str) -> None:
    with sealing(folder, "test", 1) as beside:
        (beside / "content").write_text(content, "utf-8")


def content_of(folder: Path) -> str:
    for name, facts in read_manifest(folder, "test", 1).files.items():
        check_file(folder / name, facts)
    return (folder / "content").read_text("utf-8")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed_between_renames(folder: Path) -> None:
    seal(folder, "old")
    found = subprocess.run([sys.executable, "-c", KILLED_BETWEEN_RENAMES, str(folder)])
    assert found.returncode == 9
    assert not folder.exists()


def test_what_was_being_replaced_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "a [b]"
    killed_between_renames(folder)
    settle(tmp_path)
    assert names_in(tmp_path) == [folder.name]
    assert content_of(folder) == "old"


def test_the_next_one_to_write_there_tidies_up(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    killed_between_renames(folder)
    (folder.with_name(".folder.7.old") / "mine").parent.mkdir()
    (folder.with_name(".folder.7.old") / "mine").write_text("mine", "utf-8")
    seal(folder, "newer")
    assert names_in(tmp_path) == [folder.name]
    assert content_of(folder) == "newer"
    assert (folder / "mine").read_text("utf-8") == "mine", "what is not ours is never lost"


def test_others_things_are_left_alone(tmp_path: Path) -> None:
    kept = [".folder.part", ".folder.x.old", "folder.3.part", ".other.3.old"]
    for name in [*kept, ".folder.3.part", ".folder.4.part"]:
        (tmp_path / name).mkdir()
    (tmp_path / ".folder.5.part").write_text("a file", "utf-8")
    settle(tmp_path, "folder")
    assert names_in(tmp_path) == sorted(kept)
    settle(tmp_path)
    assert "other" in names_in(tmp_path)
    settle(tmp_path / "is not there")


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_replacement_that_fails_leaves_what_was_there(
    tmp_path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rename = tmp_path / "folder", Path.rename
    seal(folder, "old")

    def fail(path: Path, target: Path) -> Path:
        if path.name.endswith(".part"):
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(type(error)):
        seal(folder, "new")
    assert names_in(tmp_path) == [folder.name]
    assert content_of(folder) == "old"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    write_whole(path, "first\n")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"No space left on device: .*file\.json"):
        write_whole(path, "second\n")
    assert names_in(tmp_path) == ["file.json"]
    assert path.read_bytes() == b"first\n"


@pytest.mark.parametrize("error", [SafetensorError("no space"), OSError(28, "no space")])
def test_a_write_that_fails_names_the_file_whatever_wrote_it(error: Exception) -> None:
    with pytest.raises(OSError, match="weights") as caught, writing(Path("weights")):
        raise error
    assert "no space" in str(caught.value)


def test_a_file_that_is_named_already_keeps_its_name() -> None:
    with pytest.raises(OSError, match="inner") as caught, writing(Path("outer")):
        raise OSError(28, "no space", "inner")
    assert "outer" not in str(caught.value)


def test_a_half_written_folder_has_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FolderError, match=MANIFEST):
        read_manifest(tmp_path / "folder", "test", 1)
