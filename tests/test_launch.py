"""Processes that torchrun starts again go on in the folder that they began, and in no other."""

import os
from pathlib import Path
from typing import Any

import pytest

from headway.launch import train
from headway.run import Outcome
from headway.run_folder import RunFolder
from headway.training import distributed
from headway.training.distributed import is_restarted, launch
from tests.tiny import PAIRS, write_pairs


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with text, as torchrun would have started us."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job-7")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    monkeypatch.setattr("headway.trainer.Trainer.run", lambda self: ("", {}))
    write_pairs(tmp_path)
    return tmp_path


def begin(*, out: str | None = None) -> Path:
    overrides = [*PAIRS, "stop.steps=5"]
    return train("pairs.tsv", overrides=overrides, out=out, say=lambda line: None).folder.path


def again(monkeypatch: pytest.MonkeyPatch, **how: Any) -> tuple[Path, bool]:
    """The folder that restarted processes work in, and whether they went on there."""
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    went_on: list[Path] = []

    def go_on(folder: Path, *_: Any) -> Outcome:
        went_on.append(folder)
        return Outcome(RunFolder(folder), "", {})

    monkeypatch.setattr("headway.launch.go_on", go_on)
    return begin(**how), bool(went_on)


def began_at(folder: Path, seconds: int) -> None:
    os.utime(RunFolder(folder).facts, (seconds, seconds))


def test_restarted_they_go_on_in_their_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert begin() == Path("runs/pairs")
    assert RunFolder(Path("runs/pairs")).launched_by == "job-7"
    assert again(monkeypatch) == (Path("runs/pairs"), True)


def test_restarted_with_a_folder_named_they_go_on_there(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert begin(out="mine") == Path("mine")
    assert again(monkeypatch, out="mine") == (Path("mine"), True)


def test_of_several_folders_the_last_begun_is_theirs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older launch may have had the same name."""
    folders = [begin() for _ in range(3)]
    assert [each.name for each in folders] == ["pairs", "pairs-2", "pairs-3"]
    for folder, seconds in zip(folders, (20, 30, 10), strict=True):
        began_at(folder, seconds)
    assert again(monkeypatch) == (Path("runs/pairs-2"), True)


def test_another_launchs_folder_is_not_theirs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job-8")
    assert again(monkeypatch) == (Path("runs/pairs-2"), False)


def test_started_for_the_first_time_they_begin_anew(here: Path) -> None:
    assert [begin(), begin()] == [Path("runs/pairs"), Path("runs/pairs-2")]


@pytest.mark.parametrize("out", [None, "mine"])
def test_killed_before_there_was_a_recipe_they_begin_anew(
    here: Path, monkeypatch: pytest.MonkeyPatch, out: str | None
) -> None:
    folder = begin(out=out)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.name != "run.json":
            path.rmdir() if path.is_dir() else path.unlink()
    found, went_on = again(monkeypatch, out=out)
    assert not went_on
    assert RunFolder(found).exists


def test_a_launch_without_a_name_is_torchruns_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its time, so that the number may be given to another one later."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert launch() == launch()
    assert launch().startswith(f"process {os.getppid()}")
    if Path("/proc/1/stat").is_file():
        ours = launch()
        monkeypatch.setattr(os, "getppid", lambda: 1)
        assert launch().split("begun at")[1] != ours.split("begun at")[1]
    monkeypatch.setattr(os, "getppid", lambda: 2**30)
    assert launch() == f"process {2**30}"


def test_without_torchrun_nothing_is_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "RANK"):
        monkeypatch.delenv(name, raising=False)
    assert (launch(), is_restarted(), distributed.speaks()) == ("", False, True)
