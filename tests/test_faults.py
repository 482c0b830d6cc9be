"""Runs that are hurt end as if nothing had happened: a sample of what benchmarks/faults.py tries."""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import faults
import trials
from victims import Nursery, Wound

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked")

Ground = trials.Ground
NEEDS_A_MOUNT = "needs the right to mount a file system"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Where runs of masked models are hurt."""
    with Nursery() as nursery:
        ground = Ground(tmp_path_factory.mktemp("ground"), nursery, random.Random(1))
        ground.prepare(("masked",))
        yield ground


@pytest.fixture(scope="module")
def all_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with Nursery() as nursery:
        ground = Ground(tmp_path_factory.mktemp("ground"), nursery, random.Random(2))
        ground.prepare(trials.OBJECTIVES)
        yield ground


def test_killed_inside_a_save(ground: Ground) -> None:
    """The second one: its weights are written, and its optimizer's memory is not."""
    trial = ground.trial("masked")
    end = trial.start(Wound("kill", "headway.training.checkpoint:save_file", 5))
    assert end.status == -9
    assert list((trial.run / "checkpoints").glob(".step-*.part")), "it was writing one"
    trial.finish()


def test_killed_at_file_operations_twice_in_a_row(ground: Ground) -> None:
    trial = ground.trial("masked")
    for share in (0.35, 0.2):
        number = int(share * ground.operations["masked"])
        assert trial.start(Wound("kill", str(trial.run), number)).status == -9
    trial.finish()


def test_a_disk_that_is_full_from_somewhere_on(ground: Ground) -> None:
    trial = ground.trial("masked")
    end = trial.start(Wound("full", str(trial.run), int(0.6 * ground.operations["masked"])))
    assert (end.status, end.is_clean) == (2, True)
    assert "No space left on device" in end.log
    assert f"go on with: headway train {trial.run}" in end.log
    trial.finish()


@pytest.mark.parametrize(("how", "status"), [("terminate", 143), ("interrupt", 130)])
def test_asked_to_stop_in_a_step(ground: Ground, how: str, status: int) -> None:
    trial = ground.trial("masked")
    end = trial.start(Wound(how, "headway.training.step:token_loss", 9))
    assert (end.status, end.is_clean) == (status, True)
    assert f"Go on with: headway train {trial.run}" in end.log
    assert len(list((trial.run / "checkpoints").glob("step-*"))) == 2, "of steps 3 and 5"
    trial.finish()


def test_damage_is_seen_by_the_comparison(ground: Ground, tmp_path: Path) -> None:
    """It would not be worth much otherwise."""
    trial = ground.trial("masked")
    assert trial.start().status == 0
    whole = ground.whole["masked"].run
    trials.compare(trial.run, whole)
    text = (trial.run / "metrics.jsonl").read_text("utf-8")
    (trial.run / "metrics.jsonl").write_text(text.replace('"updated": true', '"updated": false', 1), "utf-8")
    with pytest.raises(trials.LostError, match=r"metrics\.jsonl differs"):
        trials.compare(trial.run, whole)
    weights = trial.run / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(trials.LostError, match=r"model/model\.safetensors differs"):
        trials.compare(trial.run, whole)
    assert faults.attempt(ground, "kill -9 at a file operation", "masked") == ""


def can_mount(folder: Path) -> bool:
    try:
        with trials.small_disk(folder / "disk", "64k"):
            return True
    except (OSError, trials.subprocess.SubprocessError):
        return False


@pytest.mark.slow
@pytest.mark.parametrize("objective", trials.OBJECTIVES)
@pytest.mark.parametrize("kind", [kind for kind in faults.KINDS if kind not in faults.SLOW])
def test_nothing_is_lost(all_ground: Ground, kind: str, objective: str, tmp_path: Path) -> None:
    if kind in faults.NEEDS_ROOT and not can_mount(tmp_path):
        pytest.skip(NEEDS_A_MOUNT)
    assert faults.attempt(all_ground, kind, objective) == ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", faults.SLOW)
def test_of_several_processes_one_is_killed(all_ground: Ground, kind: str) -> None:
    assert faults.attempt(all_ground, kind, "masked") == ""
