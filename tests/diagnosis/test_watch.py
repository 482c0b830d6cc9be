"""What is found is told once, kept in the run folder, and the same after a run went on."""

import json
from pathlib import Path
from typing import Any

import pytest

import headway
from headway.diagnosis import examine
from headway.diagnosis.history import HistoryReader, Log, read_history
from headway.diagnosis.watch import Watch, new_findings
from headway.errors import FolderError
from headway.recipe import recipe_text
from headway.training.loop import Sample, Validation
from headway.training.report import MetricsFile, Reporters
from tests.training.test_report import moment
from tests.training.toys import Recorder

from .histories import recipe

CAUGHT = [Sample(f"source {i}", f"reference {i}", "the same", finished=False) for i in range(8)]
INSIDE = {"update_size": 2e-3, "heads": {"count": 4, "uniform": ["encoder.0.self.1"], "fixed": []}}


def run_folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    (path / "recipe.toml").write_text(recipe_text(recipe()), "utf-8")
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def go(folder: Path, first: int, last: int) -> Recorder:
    """Steps of a run whose outputs have collapsed, each validated; as a process does that goes on."""
    heard = Recorder()
    told = Reporters([MetricsFile(folder, every=1, resumed_at=first - 1), heard])
    reporter = Reporters([told, Watch(folder, told)])
    for step in range(first, last + 1):
        reporter.step(moment(step))
        reporter.validation(step, Validation({"loss": 1.0}, CAUGHT, INSIDE), better=step == 1)
    return heard


def test_each_sign_is_told_when_it_is_new(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run")
    heard = go(run, 10, 14)  # three validations after ten steps of warm-up
    assert [message.split(":")[0] for message in heard.warnings] == ["collapse", "no end token"]
    kept = lines(run / "findings.jsonl")
    assert [(line["step"], line["sign"]) for line in kept] == [(13, "collapse"), (13, "no end token")]
    assert kept[0]["figures"] == {"same": 8, "samples": 8, "step": 13}
    assert [finding.sign for finding in examine(run)] == ["collapse", "no end token"]
    assert headway.examine(str(run)) == examine(run)
    assert new_findings(run, 14) == []


@pytest.mark.parametrize("killed_after", [12, 14])
def test_a_run_that_goes_on_finds_what_it_would_have_found(tmp_path: Path, killed_after: int) -> None:
    whole, halved = run_folder(tmp_path / "whole"), run_folder(tmp_path / "halved")
    go(whole, 11, 14)
    go(halved, 11, killed_after)
    go(halved, 12, 14)  # its newest checkpoint is of step 11
    for name in ("findings.jsonl", "metrics.jsonl"):
        assert (halved / name).read_bytes() == (whole / name).read_bytes()


def test_the_history_is_what_was_written(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run")
    go(run, 1, 2)
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 3}\n[]\n{"step": 3, "loss": 1.0}\n{"step": 4, "lo')
    history = read_history(run)
    assert [step.step for step in history.steps] == [1, 2]
    assert (history.steps[0].loss, history.steps[0].gradient_norm, history.steps[0].clipped) == (
        1.5,
        2.5,
        True,
    )
    newest = history.looks[-1]
    assert (newest.step, newest.loss, newest.better, newest.samples) == (2, 1.0, False, CAUGHT)
    assert newest.heads is not None
    assert (newest.heads.dead, newest.update_size) == (1, 2e-3)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"is no run folder, since recipe\.toml is missing"):
        examine(tmp_path)
    assert examine(run_folder(tmp_path / "begun")) == []


def test_a_log_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = Log(path)
    assert log.stands()
    assert log.new() == []
    with path.open("a", encoding="utf-8") as file:
        file.write('{"step": 1}\n{"step": 2}\n{"st')
        file.flush()
        assert [line["step"] for line in log.new()] == [1, 2]
        file.write('ep": 3}\n')
    assert [line["step"] for line in log.new()] == [3]
    assert log.new() == []
    assert log.stands()
    path.write_text('{"step": 1}\n{"step": 9}\n{"step": 9}\n', "utf-8")
    assert not log.stands()


def test_what_is_read_bit_by_bit_is_what_is_read_at_once(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run")
    reader = HistoryReader(run)
    for last in (2, 3, 4):
        go(run, last, last)
        assert reader.read() == read_history(run)
    (run / "metrics.jsonl").write_text("", "utf-8")  # cut, as when a run goes on from a checkpoint
    assert reader.read() == read_history(run)
    assert reader.read().steps == []
