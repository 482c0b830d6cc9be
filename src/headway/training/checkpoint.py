"""Checkpoints: a state of training as a sealed folder of safetensors and JSON; nothing is ever unpickled."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway.config import from_table
from headway.errors import FolderError
from headway.sealed_folder import check_file, naming, read_json, read_manifest, sealing
from headway.training.average import set_weights
from headway.training.state import Counters, TrainState

FORMAT, FORMAT_VERSION = "headway-checkpoint", 1
WEIGHTS, OPTIMIZER, AVERAGE = "model.safetensors", "optimizer.safetensors", "average.safetensors"
COUNTERS = "state.json"
LARGEST_COUNTERS = 2**20


class Checkpoints:
    """The checkpoints of one run, named by their step: the last few regular ones, the newest, and the best.

    Regular are multiples of `every`, whatever else makes the run save: a better validation, an interruption.
    """

    def __init__(self, folder: Path, keep_last: int, warn: Callable[[str], None], every: int = 1) -> None:
        self.folder, self.keep_last, self.warn, self.every = folder, keep_last, warn, every

    def save(self, state: TrainState) -> None:
        """Write the state; then drop those that need not be kept, and set aside those of later steps.

        Later ones are of a future that was given up, when the run went on from an older checkpoint.
        """
        counters = state.counters
        place = self.path(counters.step)
        with sealing(place, FORMAT, FORMAT_VERSION) as folder:
            save_file(_parameters(state), folder / WEIGHTS)
            save_file(_optimizer_tensors(state), folder / OPTIMIZER)
            if state.average is not None:
                save_file(state.average, folder / AVERAGE)
            (folder / COUNTERS).write_text(json.dumps(asdict(counters), indent=2) + "\n", "utf-8")
        done = [step for step in self.steps() if step <= counters.step]
        regular = [step for step in done if step % self.every == 0]
        for step in set(done) - {*regular[-self.keep_last :], counters.best_step, counters.step}:
            shutil.rmtree(self.path(step))
        for step in self.steps():
            if step > counters.step:
                self._set_aside(self.path(step))

    def to_average(self, count: int, last: int) -> list[int]:
        """The last `count` steps of the regular ones and `last`, of which checkpoints are kept."""
        chosen = [step for step in self.steps() if step == last or (step < last and step % self.every == 0)]
        return chosen[-count:]

    def _set_aside(self, checkpoint: Path) -> None:
        """Rename a checkpoint so that no run goes on from it."""
        number = 1
        while (aside := checkpoint.with_name(f"{checkpoint.name}.aside-{number}")).exists():
            number += 1
        checkpoint.rename(aside)
        self.warn(f"{checkpoint}: the run went on from an older one; it is called {aside.name} from now on")

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """Steps of which a checkpoint is there, whole or not, in order."""
        names = [path.name for path in self.folder.glob("step-*")] if self.folder.is_dir() else []
        return sorted(int(name[5:]) for name in names if name[5:].isdecimal())

    def newest_whole(self) -> int | None:
        """The newest step whose checkpoint is whole; damaged ones are told and passed over, never deleted."""
        for step in reversed(self.steps()):
            try:
                check(self.path(step))
            except FolderError as error:
                self.warn(f"a checkpoint is passed over: {error}")
            else:
                return step
        return None

    def restore(self, state: TrainState, step: int) -> None:
        """Make `state` what it was at this step."""
        folder = self.path(step)
        check(folder)
        device = next(state.model.parameters()).device
        weights = self.weights(step)
        _compare(weights, _parameters(state), folder)
        if state.average is not None and not (folder / AVERAGE).is_file():
            raise FolderError(
                f"{folder}: holds no average of weights, which training.ema in the recipe needs"
            )
        set_weights(state.model, weights)
        _set_optimizer_tensors(state, _load(folder / OPTIMIZER))
        if state.average is not None:
            kept = _load(folder / AVERAGE)
            state.average = {name: kept[name].to(device) for name in state.average}
        with naming(folder / COUNTERS):
            state.counters = from_table(
                Counters, read_json(folder / COUNTERS, LARGEST_COUNTERS), finite=False
            )

    def weights(self, step: int, averaged: bool = False) -> dict[str, Tensor]:
        """The parameters by name; the exponential average of them where there is one and it is asked for."""
        average = self.path(step) / AVERAGE
        return _load(average if averaged and average.exists() else self.path(step) / WEIGHTS)


def check(folder: Path) -> None:
    """Raises FolderError unless every file of the checkpoint is whole."""
    for name, expected in read_manifest(folder, FORMAT, FORMAT_VERSION).files.items():
        check_file(folder / Path(name).name, expected)


def _compare(kept: Mapping[str, Tensor], wanted: Mapping[str, Tensor], folder: Path) -> None:
    """Raises FolderError unless both have tensors of the same names and shapes."""
    for name in sorted(kept.keys() | wanted.keys()):
        there, here = (tuple(each[name].shape) if name in each else None for each in (kept, wanted))
        if there != here:
            raise FolderError(
                f"{folder}: the recipe's model is not that of the checkpoint: {name} has shape "
                f"{there or 'none'} there, and {here or 'none'} in the recipe"
            )


def _load(path: Path) -> dict[str, Tensor]:
    with naming(path, SafetensorError):
        return load_file(path)


def _parameters(state: TrainState) -> dict[str, Tensor]:
    return {name: parameter.detach().contiguous() for name, parameter in state.model.named_parameters()}


def _optimizer_tensors(state: TrainState) -> dict[str, Tensor]:
    """The optimizer's memory as `parameter name/kind of memory`."""
    return {
        f"{name}/{kind}": value.contiguous()
        for group in state.optimizer.param_groups
        for name, parameter in zip(group["names"], group["params"], strict=True)
        for kind, value in state.optimizer.state[parameter].items()
    }


def _set_optimizer_tensors(state: TrainState, tensors: dict[str, Tensor]) -> None:
    by_name = {
        name: parameter
        for group in state.optimizer.param_groups
        for name, parameter in zip(group["names"], group["params"], strict=True)
    }
    for key, value in tensors.items():
        name, kind = key.rsplit("/", 1)
        # torch keeps the count of steps on the CPU unless the kernel is fused on another device
        like = by_name[name].device
        state.optimizer.state[by_name[name]][kind] = value.to(like)
