"""Checkpoints: a state of training as a sealed folder of safetensors and JSON; nothing is ever unpickled."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway.config import from_table
from headway.errors import FolderError, shown
from headway.sealed_folder import (
    MANIFEST,
    check_file,
    check_tensors,
    naming,
    read_json,
    read_manifest,
    sealing,
    writing,
)
from headway.training.average import set_weights
from headway.training.distributed import Ranks
from headway.training.parallel import as_parameter, is_sharded
from headway.training.sharded import has_shards, load_shards, save_shards
from headway.training.state import Counters, TrainState

FORMAT, FORMAT_VERSION = "headway-checkpoint", 1
WEIGHTS, OPTIMIZER, AVERAGE = "model", "optimizer", "average"
FILES = {group: f"{group}.safetensors" for group in (WEIGHTS, OPTIMIZER, AVERAGE)}
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

        Later ones are of a future that was given up, when the run went on from an older checkpoint. All
        processes must call it; the first one writes, or each its shards.
        """
        counters, ranks = state.counters, state.ranks
        place = self.path(counters.step)
        with writing(place), _sealing_together(place, ranks) as folder:
            if is_sharded(state.model):
                groups = _tensors(state).items()
                save_shards(
                    {f"{group}/{name}": t for group, some in groups for name, t in some.items()}, folder
                )
            elif ranks.is_first:
                for group, tensors in _tensors(state).items():
                    save_file(tensors, folder / FILES[group])
            if ranks.is_first:
                (folder / COUNTERS).write_text(json.dumps(asdict(counters), indent=2) + "\n", "utf-8")
        if ranks.is_first:
            self._tidy(counters)

    def _tidy(self, counters: Counters) -> None:
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
        """Make `state` what it was at this step, whatever the number of processes that wrote it."""
        folder = self.path(step)
        check(folder)
        parameters = dict(state.model.named_parameters())
        weights = self._read(step, WEIGHTS, parameters)
        _compare(weights, parameters, folder)
        average = self._read(step, AVERAGE, parameters)
        if state.average is not None and not average:
            raise FolderError(
                f"{folder}: holds no average of weights, which training.ema in the recipe needs"
            )
        set_weights(state.model, weights)
        state.average = None if state.average is None else average
        for key, value in self._read(step, OPTIMIZER, parameters).items():
            name, _, kind = key.rpartition("/")
            if name not in parameters or value.numel() not in (1, parameters[name].numel()):
                raise FolderError(f"{folder}: the optimizer's {shown(key)} belongs to no parameter")
            state.optimizer.state[parameters[name]][kind] = value
        with naming(folder / COUNTERS):
            state.counters = from_table(
                Counters, read_json(folder / COUNTERS, LARGEST_COUNTERS), finite=False
            )

    def weights(self, step: int, averaged: bool = False) -> dict[str, Tensor]:
        """The parameters by name, whole; their average where there is one and it is asked for."""
        average = self._read(step, AVERAGE) if averaged else {}
        return average or self._read(step, WEIGHTS)

    def _read(
        self, step: int, group: str, parameters: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """The tensors of a group: whole, or where they go with parameters laid out as those are."""
        folder = self.path(step)

        def laid_out(name: str, whole: Tensor) -> Tensor:
            # a count of steps goes with its parameter too: it is kept on its device
            parameter = (parameters or {}).get(name.rsplit("/", 1)[0])
            return whole if parameter is None else as_parameter(whole, parameter)

        if has_shards(folder):
            return load_shards(folder, group, laid_out)
        if group == AVERAGE and not (folder / FILES[group]).is_file():
            return {}
        return {name: laid_out(name, tensor) for name, tensor in _load(folder / FILES[group]).items()}


@contextmanager
def _sealing_together(place: Path, ranks: Ranks) -> Iterator[Path]:
    """As `sealing`, for all processes: the first one seals the folder when all have written."""
    if not ranks.is_first:
        yield Path(ranks.first_says(None))
        ranks.wait()
        return
    with sealing(place, FORMAT, FORMAT_VERSION) as folder:
        ranks.first_says(str(folder))
        yield folder
        ranks.wait()


def check(folder: Path) -> None:
    """Raises FolderError unless every file of the checkpoint is whole."""
    listed = read_manifest(folder, FORMAT, FORMAT_VERSION).files
    for name, expected in listed.items():
        if Path(name).name != name:
            raise FolderError(f"{folder / MANIFEST}: lists {shown(name)}, which lies elsewhere")
        check_file(folder / name, expected)
    needed = {COUNTERS} if has_shards(folder) else {COUNTERS, FILES[WEIGHTS], FILES[OPTIMIZER]}
    for name in sorted(needed - listed.keys()):
        raise FolderError(f"{folder / MANIFEST}: does not list {name}, which every checkpoint has")


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
    if not path.is_file():
        raise FolderError(f"{path}: is missing")
    check_tensors(path)
    with naming(path, SafetensorError):
        return load_file(path)


def _tensors(state: TrainState) -> dict[str, dict[str, Tensor]]:
    """All tensors of a state by group and name; the optimizer's as `parameter name/kind of memory`."""
    groups = {
        WEIGHTS: {name: p.detach().contiguous() for name, p in state.model.named_parameters()},
        OPTIMIZER: {
            f"{name}/{kind}": value.contiguous()
            for group in state.optimizer.param_groups
            for name, parameter in zip(group["names"], group["params"], strict=True)
            for kind, value in state.optimizer.state[parameter].items()
        },
    }
    return groups if state.average is None else {**groups, AVERAGE: state.average}
