"""Checkpoints: a state of training as a sealed folder of safetensors and JSON; nothing is ever unpickled."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway.config import from_table
from headway.errors import FolderError
from headway.sealed_folder import check_file, naming, read_json, read_manifest, sealing
from headway.training.average import set_weights
from headway.training.state import Counters, TrainState

FORMAT, FORMAT_VERSION = "headway-checkpoint", 1
WEIGHTS, OPTIMIZER, AVERAGE, RANDOM = (
    "model.safetensors",
    "optimizer.safetensors",
    "average.safetensors",
    "random.safetensors",
)
COUNTERS = "state.json"
LARGEST_COUNTERS = 2**20


class Checkpoints:
    """The checkpoints of one run, named by their step: the last few, and the best."""

    def __init__(self, folder: Path, keep_last: int, warn: Callable[[str], None]) -> None:
        self.folder, self.keep_last, self.warn = folder, keep_last, warn

    def save(self, state: TrainState) -> None:
        """Write the state; then drop checkpoints that are neither among the last nor the best."""
        counters = state.counters
        place = self.path(counters.step)
        with sealing(place, FORMAT, FORMAT_VERSION) as folder:
            save_file(_parameters(state), folder / WEIGHTS)
            save_file(_optimizer_tensors(state), folder / OPTIMIZER)
            if state.average is not None:
                save_file(state.average, folder / AVERAGE)
            save_file(_random_state(), folder / RANDOM)
            (folder / COUNTERS).write_text(json.dumps(asdict(counters), indent=2) + "\n", "utf-8")
        for step in self.steps()[: -self.keep_last]:
            if step != counters.best_step:
                shutil.rmtree(self.path(step))

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
        """Make `state`, and the random numbers to come, what they were at this step."""
        folder = self.path(step)
        check(folder)
        device = next(state.model.parameters()).device
        set_weights(state.model, self.weights(step))
        _set_optimizer_tensors(state, _load(folder / OPTIMIZER))
        if state.average is not None:
            kept = _load(folder / AVERAGE)
            state.average = {name: kept[name].to(device) for name in state.average}
        with naming(folder / COUNTERS):
            state.counters = from_table(Counters, read_json(folder / COUNTERS, LARGEST_COUNTERS))
        random = _load(folder / RANDOM)
        torch.set_rng_state(random["cpu"])
        if torch.cuda.is_available() and "cuda" in random:
            torch.cuda.set_rng_state(random["cuda"])

    def weights(self, step: int, averaged: bool = False) -> dict[str, Tensor]:
        """The parameters by name; the exponential average of them where there is one and it is asked for."""
        average = self.path(step) / AVERAGE
        return _load(average if averaged and average.exists() else self.path(step) / WEIGHTS)


def check(folder: Path) -> None:
    """Raises FolderError unless every file of the checkpoint is whole."""
    for name, expected in read_manifest(folder, FORMAT, FORMAT_VERSION).files.items():
        check_file(folder / Path(name).name, expected)


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


def _random_state() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states
