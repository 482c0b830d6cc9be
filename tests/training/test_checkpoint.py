"""A checkpoint is whole or not there; what it holds comes back bit for bit."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from headway.errors import FolderError
from headway.sealed_folder import settle
from headway.training import checkpoint as checkpoint_module
from headway.training.checkpoint import COUNTERS, Checkpoints
from headway.training.optimizer import build_optimizer
from headway.training.settings import LossConfig
from headway.training.state import Counters, TrainState
from headway.training.step import train_step

from .toys import assert_same, everything, new_state, plan_of, random_batch, tiny_model

WEIGHTS, OPTIMIZER, AVERAGE = "model.safetensors", "optimizer.safetensors", "average.safetensors"
FILES = [WEIGHTS, OPTIMIZER, COUNTERS, AVERAGE, "manifest.json"]


def trained(seed: int = 0, steps: int = 2, ema: float = 0.5) -> TrainState:
    state = new_state(plan_of(training={"ema": ema}), seed, dropout=0.3)
    for step in range(steps):
        train_step(state, [random_batch(step)], 0.01, loss=LossConfig(0.1), clip=1.0, precision="float32")
    state.counters = Counters(step=steps, epoch=1, batch=2, tokens=77, seconds=1.5, best=0.25, best_step=1)
    return state


class Shelf:
    """Checkpoints in a folder, and what they warned of."""

    def __init__(self, folder: Path, keep_last: int = 2) -> None:
        self.warnings: list[str] = []
        self.checkpoints = Checkpoints(folder / "checkpoints", keep_last, self.warnings.append)

    def save_at(self, *steps: int, best: int | None = None) -> None:
        state = trained()
        for step in steps:
            state.counters.step = step
            state.counters.best_step = best if best is not None and best <= step else None
            self.checkpoints.save(state)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_a_restored_state_is_the_saved_one(shelf: Shelf, ema: float) -> None:
    saved = trained(ema=ema)
    shelf.checkpoints.save(saved)
    expected = everything(saved)
    restored = trained(seed=1, steps=3, ema=ema)
    shelf.checkpoints.restore(restored, 2)
    assert_same(everything(restored), expected)
    assert restored.counters == saved.counters


def test_a_fresh_model_can_take_a_state(shelf: Shelf) -> None:
    """Its optimizer has no memory yet."""
    saved = trained()
    shelf.checkpoints.save(saved)
    fresh = new_state(plan_of(training={"ema": 0.5}), seed=1, dropout=0.3)
    shelf.checkpoints.restore(fresh, 2)
    assert_same(everything(fresh), everything(saved))
    for state in (saved, fresh):
        torch.manual_seed(5)
        train_step(state, [random_batch(9)], 0.01, loss=LossConfig(0.1), clip=1.0, precision="float32")
    assert_same(everything(fresh), everything(saved))


def test_a_state_without_a_step_can_be_kept(shelf: Shelf) -> None:
    saved = trained(steps=0)
    shelf.checkpoints.save(saved)
    fresh = trained(seed=1, steps=0)
    shelf.checkpoints.restore(fresh, 0)
    assert_same(everything(fresh), everything(saved))


def test_weights_come_alone_or_averaged(shelf: Shelf) -> None:
    saved = trained(ema=0.5)
    assert saved.average is not None
    saved.average = {name: tensor + 1 for name, tensor in saved.average.items()}
    shelf.checkpoints.save(saved)
    own = {name: parameter.detach() for name, parameter in saved.model.named_parameters()}
    assert_same(shelf.checkpoints.weights(2), own)
    assert_same(shelf.checkpoints.weights(2, averaged=True), saved.average)


def test_without_an_average_the_weights_stand_for_it(shelf: Shelf) -> None:
    shelf.checkpoints.save(trained(ema=0.0))
    assert_same(shelf.checkpoints.weights(2, averaged=True), shelf.checkpoints.weights(2))


def test_the_last_and_the_best_are_kept(shelf: Shelf) -> None:
    shelf.save_at(1, 2, 3, 4, 5, best=2)
    assert shelf.checkpoints.steps() == [2, 4, 5]
    shelf.save_at(6, best=6)
    assert shelf.checkpoints.steps() == [5, 6], "the old best one has gone"
    assert shelf.checkpoints.newest_whole() == 6


def test_one_that_was_passed_over_costs_none_of_what_follows(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, keep_last=1)
    shelf.save_at(100, 200)
    damage(shelf.checkpoints.path(200) / WEIGHTS, "short")
    shelf.save_at(120)
    assert shelf.checkpoints.newest_whole() == 120
    assert shelf.checkpoints.steps() == [120]
    assert "step-00000200.aside-1" in names_in(shelf.checkpoints.folder), "it is never deleted"


def test_no_run_goes_on_from_a_future_that_was_given_up(shelf: Shelf) -> None:
    shelf.save_at(1, 2)
    shelf.save_at(1)
    assert shelf.checkpoints.newest_whole() == 1
    assert "step-00000002.aside-1" in shelf.warnings[0]
    shelf.save_at(2)
    shelf.save_at(1)
    assert "step-00000002.aside-2" in names_in(shelf.checkpoints.folder)


def test_what_is_averaged_does_not_depend_on_other_reasons_to_save(tmp_path: Path) -> None:
    steps = {}
    for name, saved in {"plain": [5, 10, 15, 18], "broken": [3, 5, 7, 8, 10, 12, 15, 16, 17, 18]}.items():
        shelf = Shelf(tmp_path / name)
        shelf.checkpoints.every = 5
        shelf.save_at(*saved, best=7 if 7 in saved else None)
        steps[name] = shelf.checkpoints.to_average(3, 18)
        assert set(shelf.checkpoints.steps()) <= {7, 10, 15, 18}, "the others have gone"
    assert steps == {"plain": [10, 15, 18], "broken": [10, 15, 18]}


def test_another_model_is_told_apart(shelf: Shelf) -> None:
    shelf.checkpoints.save(trained())
    plan = plan_of(training={"ema": 0.5})
    model = tiny_model(tie=False)
    other = TrainState(model, build_optimizer(model, plan.optimizer, 0.01))
    with pytest.raises(
        FolderError, match=r"step-00000002: the recipe's model is not that of the checkpoint: out"
    ):
        shelf.checkpoints.restore(other, 2)
    shelf.checkpoints.save(trained(ema=0.0))
    with pytest.raises(FolderError, match="holds no average"):
        shelf.checkpoints.restore(trained(seed=1), 2)


def test_nothing_there_is_nothing_there(shelf: Shelf) -> None:
    assert shelf.checkpoints.steps() == []
    assert shelf.checkpoints.newest_whole() is None
    assert shelf.warnings == []


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "short":
        path.write_bytes(content[: len(content) // 2])
    elif how == "changed":
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize("how", ["gone", "short", "changed", "empty"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_one_is_told_and_passed_over(shelf: Shelf, name: str, how: str) -> None:
    shelf.save_at(1, 2)
    broken = shelf.checkpoints.path(2)
    damage(broken / name, how)
    assert shelf.checkpoints.newest_whole() == 1
    assert len(shelf.warnings) == 1
    assert str(broken) in shelf.warnings[0]
    assert "passed over" in shelf.warnings[0]
    assert broken.is_dir(), "it is never deleted"
    with pytest.raises(FolderError, match=broken.name):
        shelf.checkpoints.restore(trained(seed=1), 2)


def test_one_with_files_of_another_is_passed_over(shelf: Shelf) -> None:
    """Whole files, but not those that the manifest lists."""
    shelf.save_at(1)
    shelf.checkpoints.save(trained(seed=3))
    one, two = shelf.checkpoints.path(1), shelf.checkpoints.path(2)
    (two / OPTIMIZER).write_bytes((one / OPTIMIZER).read_bytes())
    assert shelf.checkpoints.newest_whole() == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"format": "other"}, "another program"), ({"format_version": 99}, "upgrade Headway")],
)
def test_foreign_and_newer_ones_are_passed_over(shelf: Shelf, changes: dict[str, Any], message: str) -> None:
    shelf.save_at(1, 2)
    manifest = shelf.checkpoints.path(2) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text("utf-8")) | changes), "utf-8")
    assert shelf.checkpoints.newest_whole() == 1
    assert message in shelf.warnings[0]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("failing", [WEIGHTS, OPTIMIZER, AVERAGE])
def test_a_failed_write_leaves_nothing(shelf: Shelf, failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.save_at(1)

    def full_disk(tensors: dict[str, torch.Tensor], path: Path) -> None:
        if path.name == failing:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        save_file(tensors, path)

    monkeypatch.setattr(checkpoint_module, "save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        shelf.save_at(2)
    assert names_in(shelf.checkpoints.folder) == ["step-00000001"]
    assert shelf.checkpoints.newest_whole() == 1
    assert shelf.warnings == []


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_failed_flush_or_rename_leaves_nothing(
    shelf: Shelf, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.save_at(1)

    def fail(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "rename")), fail)
    with pytest.raises(OSError, match="Input/output"):
        shelf.save_at(2)
    assert names_in(shelf.checkpoints.folder) == ["step-00000001"]


def test_an_older_checkpoint_survives_a_failed_newer_one_of_its_step(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained()
    shelf.checkpoints.save(first)
    monkeypatch.setattr(checkpoint_module, "save_file", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        shelf.checkpoints.save(trained(seed=1))
    monkeypatch.undo()
    restored = trained(seed=2)
    shelf.checkpoints.restore(restored, 2)
    assert_same(everything(restored), everything(first))


def test_the_same_step_may_be_saved_again(shelf: Shelf) -> None:
    shelf.checkpoints.save(trained(seed=1))
    second = trained(seed=2)
    shelf.checkpoints.save(second)
    assert names_in(shelf.checkpoints.folder) == ["step-00000002"]
    restored = trained(seed=3)
    shelf.checkpoints.restore(restored, 2)
    assert_same(everything(restored), everything(second))


@pytest.mark.parametrize("how", ["gone", "short", "empty"])
def test_the_same_step_may_be_saved_over_a_damaged_one(shelf: Shelf, how: str) -> None:
    shelf.save_at(1)
    damage(shelf.checkpoints.path(1) / "manifest.json", how)
    (shelf.checkpoints.path(1) / "mine.txt").write_text("mine", "utf-8")
    shelf.save_at(1)
    assert shelf.checkpoints.newest_whole() == 1
    assert names_in(shelf.checkpoints.path(1)) == sorted([*FILES, "mine.txt"])


def test_a_leftover_of_a_killed_write_is_no_checkpoint(shelf: Shelf) -> None:
    shelf.save_at(1)
    leftover = shelf.checkpoints.folder / ".step-00000009.123.part"
    leftover.mkdir()
    (leftover / WEIGHTS).write_bytes(b"half")
    (shelf.checkpoints.folder / "step-notes").mkdir()
    assert shelf.checkpoints.newest_whole() == 1
    shelf.save_at(2, 3)
    assert shelf.checkpoints.steps() == [2, 3]


def test_a_full_disk_is_an_error_that_names_the_checkpoint(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the library that writes tensors finds it, it is no OSError."""

    def full(*_: Any) -> None:
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(checkpoint_module, "save_file", full)
    with pytest.raises(OSError, match=r"step-00000001: .*No space left"):
        shelf.save_at(1)
    assert names_in(shelf.checkpoints.folder) == []


def test_killed_while_a_step_is_saved_again_its_first_save_is_found(shelf: Shelf) -> None:
    """Between the two renames only the older one is there, under another name."""
    shelf.save_at(1, 2)
    place = shelf.checkpoints.path(2)
    place.rename(place.with_name(f".{place.name}.77.old"))
    settle(shelf.checkpoints.folder)
    assert shelf.checkpoints.newest_whole() == 2
    assert shelf.warnings == []


def test_no_pickle_is_written(shelf: Shelf) -> None:
    shelf.save_at(1)
    assert names_in(shelf.checkpoints.path(1)) == sorted(FILES)
