"""Several seeds of one recipe, one after the other: how much of a figure is chance."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.config import apply_overrides
from headway.errors import FolderError, UserError
from headway.evaluation.seeds import Seeds, Spread
from headway.launch import go_on, train
from headway.recipe import Recipe, read_recipe
from headway.run import Outcome, say_on_stderr
from headway.run_folder import RunFolder, free_folder
from headway.sealed_folder import read_json, write_whole
from headway.trainer import Say

SWEEP = "sweep.json"
LARGEST = 2**12
"""Bytes of that file, which holds two numbers."""


@dataclass(frozen=True)
class Sweep:
    """A folder with a run folder for each seed."""

    path: Path
    first: int
    count: int

    @property
    def runs(self) -> dict[int, RunFolder]:
        """By seed; the folders of seeds that were not begun do not exist."""
        seeds = range(self.first, self.first + self.count)
        return {seed: RunFolder(self.path / f"seed-{seed}") for seed in seeds}

    @property
    def is_finished(self) -> bool:
        return all(run.is_finished for run in self.runs.values())


@dataclass(frozen=True)
class SweepOutcome:
    """How a sweep ended; `seeds` are held-out figures, None where it was asked to stop."""

    sweep: Sweep
    seeds: Seeds | None
    exit_status: int = 0


def is_sweep(folder: Path) -> bool:
    """Whether a folder holds runs of several seeds."""
    return (folder / SWEEP).is_file()


def read_sweep(folder: Path) -> Sweep:
    """The sweep in a folder. Raises FolderError if it is none."""
    table = read_json(folder / SWEEP, LARGEST)
    numbers = [table.get("first_seed"), table.get("seeds")]
    first, count = (number if isinstance(number, int) else -1 for number in numbers)
    if first < 0 or count < 1:
        raise FolderError(f"{folder / SWEEP}: expected the numbers first_seed and seeds")
    return Sweep(folder, first, count)


def train_seeds(
    *things: Any,
    seeds: int,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    say: Say = say_on_stderr,
    **wishes: Any,
) -> SweepOutcome:
    """Train by a recipe or on data with so many seeds, one after the other, in folders below one folder.

    The seeds are the recipe's own and those after it. What is planned for the first holds for all. `things`,
    `overrides` and `wishes` are those of `headway.train`. A sweep that was stopped goes on by
    `resume_sweep`.
    """
    if seeds < 1:
        raise UserError(f"seeds = {seeds}: must be 1 or more")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("seeds: several processes train one model; start them once for each seed")
    if not things:
        raise UserError("name a recipe, or data files")
    if isinstance(things[0], str | Path) and RunFolder(Path(things[0])).exists:
        raise UserError(f"{things[0]}: is a run, which has its seed; name a recipe or data for several seeds")
    folder = Path(out) if out is not None else free_folder(f"{_plain(things[0])}-seeds")
    if folder.exists() and any(folder.iterdir()):
        way = f"go on with it by `headway train {folder}`, or name" if is_sweep(folder) else "name"
        raise FolderError(f"{folder}: is there already; {way} another")
    sweep = Sweep(folder, _seed_of(things, overrides), seeds)

    def begin(run: RunFolder) -> Outcome:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / SWEEP, json.dumps({"first_seed": sweep.first, "seeds": seeds}) + "\n")
        ours = [*overrides, f"seed={sweep.first}"]
        try:
            return train(*things, overrides=ours, out=run.path, say=say, **wishes)
        except BaseException:
            if not run.exists:  # nothing was begun
                (folder / SWEEP).unlink(missing_ok=True)
                if not any(folder.iterdir()):
                    folder.rmdir()
            raise

    return _train_all(sweep, begin, say)


def resume_sweep(folder: Path, say: Say = say_on_stderr) -> SweepOutcome:
    """Go on with a sweep: with the run that was stopped, and then with the seeds that were not begun."""

    def nothing(run: RunFolder) -> Outcome:
        raise FolderError(f"{run.path}: the first seed was never begun; remove {folder} and begin anew")

    return _train_all(read_sweep(folder), nothing, say)


def _train_all(sweep: Sweep, begin: Callable[[RunFolder], Outcome], say: Say) -> SweepOutcome:
    for number, (seed, run) in enumerate(sweep.runs.items(), start=1):
        if run.is_finished:
            continue
        say(f"seed {seed}, {number} of {sweep.count}")
        if run.exists:
            outcome = go_on(run.path, say)
        elif seed == sweep.first:
            outcome = begin(run)
        else:
            recipe = sweep.runs[sweep.first].recipe
            outcome = train(recipe, overrides=[f"seed={seed}"], out=run.path, say=say)
        if outcome.exit_status:
            return SweepOutcome(sweep, None, outcome.exit_status)
    return SweepOutcome(sweep, held_out_of(sweep))


def held_out_of(sweep: Sweep) -> Seeds:
    """The figures on the held-out part that the models of a finished sweep carry."""
    found = [_metrics(run) for run in sweep.runs.values()]
    spreads = [
        Spread(
            name=name,
            values=tuple(metrics[name] for metrics in found),
            lower_is_better=name != "accuracy",
        )
        for name in found[0]
        if all(name in metrics for metrics in found)
    ]
    return Seeds(names=[f"seed {seed}" for seed in sweep.runs], spreads=spreads)


def _metrics(run: RunFolder) -> dict[str, float]:
    content = json.loads((run.model / "config.json").read_text("utf-8"))
    return {name: float(value) for name, value in content["info"]["metrics"].items()}


def _seed_of(things: Sequence[Any], overrides: Sequence[str]) -> int:
    """The seed of the first run: as the overrides, or else the recipe, or else all recipes have it."""
    ours = [each for each in overrides if each.partition("=")[0].strip() == "seed"]
    if ours:
        return int(apply_overrides(Recipe, {}, ours)["seed"])
    name = Path(things[0]) if isinstance(things[0], str | Path) else None
    if name is not None and (name.suffix == ".toml" or not name.exists()):
        return read_recipe(name, overrides).seed
    return Recipe.seed


def _plain(thing: Any) -> str:
    """A name for a folder, from the name of a file or recipe."""
    if not isinstance(thing, str | Path):
        return "run"
    kept = "".join(sign for sign in Path(thing).name.split(".")[0] if sign.isalnum() or sign in "-_")
    return kept.strip("-") or "run"
