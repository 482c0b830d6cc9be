"""A run that was cut off and goes on is the run that never stopped, bit for bit."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headway.training.report import MetricsFile, Reporters

from .toys import Losses, Run, assert_same, everything, run_of

STEPS = 12

TABLES: dict[str, Any] = {
    "stop": {"steps": STEPS},
    "training": {"validate_every": 4, "save_every": 3, "ema": 0.9, "keep_last": 2},
    "optimizer": {"kind": "adamw", "weight_decay": 0.1, "clip": 0.5},
    "schedule": {"kind": "cosine", "warmup": 3},
}
"""Five batches an epoch, two micro-batches each; dropout is on."""


class KilledError(Exception):
    """As a power cut: nothing more is done."""


def run_in(folder: Path, seed: int = 0) -> Run:
    run = run_of(seed=seed, dropout=0.3, folder=folder / "checkpoints", **TABLES)
    run.validate = Losses(1.0, 2.0)
    return run


def counted(run: Run) -> dict[str, Any]:
    """The counters, but for times."""
    return {name: value for name, value in asdict(run.state.counters).items() if name != "seconds"}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = run_in(tmp_path_factory.mktemp("uninterrupted"))
    run.go()
    assert run.state.counters.step == STEPS
    return run


def go_on(folder: Path) -> tuple[Run, int | None]:
    """A new process: another model, other random numbers, then what the newest checkpoint says."""
    run = run_in(folder, seed=99)
    assert run.checkpoints is not None
    newest = run.checkpoints.newest_whole()
    if newest is not None:
        run.checkpoints.restore(run.state, newest)
    run.validate = Losses(*([1.0, 2.0] if run.state.counters.step < 4 else [2.0]))
    return run, newest


@pytest.mark.parametrize("last", [1, 3, 5, 8, 11])
def test_asked_to_stop_and_gone_on(uninterrupted: Run, tmp_path: Path, last: int) -> None:
    """Step 5 is the last of an epoch, steps 3 and 8 are saved and looked at anyway."""
    first = run_in(tmp_path)

    def after(step: int) -> None:
        first.asked.signal = 2 if step == last else None

    first.reporter.after = after
    first.go()
    second, newest = go_on(tmp_path)
    assert newest == last
    second.go()
    assert_same(everything(second.state), everything(uninterrupted.state))
    assert counted(second) == counted(uninterrupted)


@pytest.mark.parametrize(("killed_at", "saved"), [(4, 3), (6, 4), (7, 6), (12, 9)])
def test_killed_and_gone_on(uninterrupted: Run, tmp_path: Path, killed_at: int, saved: int) -> None:
    """What was done after the newest checkpoint is done again, alike."""
    first = run_in(tmp_path)

    def after(step: int) -> None:
        if step == killed_at:
            raise KilledError

    first.reporter.after = after
    with pytest.raises(KilledError):
        first.go()
    second, newest = go_on(tmp_path)
    assert newest == saved
    second.go()
    assert_same(everything(second.state), everything(uninterrupted.state))
    assert counted(second) == counted(uninterrupted)


def test_with_the_newest_damaged_the_one_before_serves(uninterrupted: Run, tmp_path: Path) -> None:
    first = run_in(tmp_path)
    first.reporter.after = lambda step: setattr(first.asked, "signal", 2 if step == 10 else None)
    first.go()
    assert first.checkpoints is not None
    (first.checkpoints.path(10) / "model.safetensors").write_bytes(b"")
    second, newest = go_on(tmp_path)
    assert newest == 9
    assert len(second.reporter.warnings) == 1
    second.go()
    assert_same(everything(second.state), everything(uninterrupted.state))


def test_dropout_is_drawn_by_the_seed_and_the_step(uninterrupted: Run, tmp_path: Path) -> None:
    """The random numbers of before do not matter; another seed ends elsewhere: dropout is really on."""
    torch.manual_seed(1234)
    same, other = run_in(tmp_path / "same"), run_in(tmp_path / "other")
    same.go()
    assert_same(everything(same.state), everything(uninterrupted.state))
    other.plan = replace(other.plan, seed=1)
    other.go()
    with pytest.raises(AssertionError):
        assert_same(everything(other.state), everything(uninterrupted.state))


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """metrics.jsonl, but for times."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").split("\n") if line]
    return [{k: v for k, v in line.items() if k not in ("seconds", "tokens_per_second")} for line in lines]


def with_metrics(run: Run, folder: Path) -> None:
    """Let the run write metrics.jsonl too."""
    file, recorder = MetricsFile(folder, 1, run.state.counters.step), run.reporter
    run.reporter = Reporters([file, recorder])  # type: ignore[assignment]


def test_the_metrics_of_a_resumed_run_are_those_of_one_run(tmp_path: Path) -> None:
    whole_folder, folder = tmp_path / "whole", tmp_path / "resumed"
    for each in (whole_folder, folder):
        each.mkdir()
    whole = run_in(whole_folder)
    with_metrics(whole, whole_folder)
    whole.go()

    first = run_in(folder)

    def after(step: int) -> None:
        if step == 8:
            raise KilledError

    first.reporter.after = after
    with_metrics(first, folder)
    with pytest.raises(KilledError):
        first.go()
    assert lines_of(folder)[-1]["step"] == 8, "two steps beyond the newest checkpoint"
    second, newest = go_on(folder)
    assert newest == 6
    with_metrics(second, folder)
    second.go()
    assert lines_of(folder) == lines_of(whole_folder)
    assert [line["step"] for line in lines_of(folder) if "loss" in line] == list(range(1, STEPS + 1))
