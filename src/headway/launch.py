"""`headway.train(...)`: a model from a recipe, from data, or from a run that was stopped."""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from headway.config import apply_overrides, from_table
from headway.data.corpus import DataConfig
from headway.data.layout import OF_PAIRS, holds_pairs
from headway.data.tables import LIBRARIES, is_table, table_files
from headway.errors import UserError
from headway.model.config import Architecture
from headway.recipe import Recipe, read_recipe
from headway.run import Outcome, resume, say_on_stderr, start
from headway.run_folder import RunFolder, free_folder
from headway.start_from import read_start
from headway.trainer import Say
from headway.training.distributed import ALONE, Ranks, is_restarted, joined, launch


@dataclass(frozen=True)
class Wish:
    """What is asked for beside data: what to learn, a model to start from, and the run folder."""

    objective: str | None = None
    start_from: str | Path | None = None
    out: Path | None = None

    @property
    def learned(self) -> str | None:
        """What is learned, if that is decided. Raises UserError if the model to start from learns other."""
        if self.start_from is None:
            return self.objective
        architecture = read_start(self.start_from).config.architecture
        if self.objective not in (None, _OBJECTIVES[architecture]):
            raise UserError(
                f"{self.start_from}: holds a model of kind {architecture}, which learns "
                f"{_OBJECTIVES[architecture]}, not {self.objective}"
            )
        return _OBJECTIVES[architecture]

    def recipe(
        self, objective: str, overrides: Sequence[str], data: dict[str, Any], say: Callable[[str], None]
    ) -> Recipe:
        """The built-in recipe; of a model to start from the parts that make a model are its own."""
        if self.start_from is None:
            return read_recipe(objective, overrides, {"data": data})
        beginning = {"start_from": str(self.start_from), "optimizer": {"rate": FINE_TUNING_RATE}}
        recipe = read_recipe(objective, overrides, {"data": data, **beginning}, ("preset", "text", "model"))
        say(
            f"starting from {self.start_from}, with its shape and vocabulary; "
            f"the learning rate is {recipe.optimizer.rate:g}, to be changed by optimizer.rate=…"
        )
        return recipe


def train(
    *things: Any,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    objective: Literal["pairs", "causal", "masked"] | None = None,
    start_from: str | Path | None = None,
    say: Callable[[str], None] = say_on_stderr,
) -> Outcome:
    """Train by a recipe (a .toml file or a built-in name), on data files, or on with a run folder.

    Data may also be tables in memory: frames of pandas or polars, and data sets of `datasets`. `overrides`
    change the recipe, as in `["stop.minutes=10"]`. `start_from` is a model or run folder whose model is
    trained further, with its shape and vocabularies. The outcome names the run folder, in which `model` is
    the model folder that `headway.load` opens.
    """
    if not things:
        raise UserError("name a recipe, data files, or a run folder to go on with")
    wish = Wish(objective, start_from, Path(out) if out is not None else None)
    with joined() as ranks:
        return _train(things, overrides, wish, say if ranks.is_first else _say_nothing, ranks)


def _say_nothing(line: str) -> None:
    """One process speaks for all."""


def _train(things: tuple[Any, ...], overrides: Sequence[str], wish: Wish, say: Say, ranks: Ranks) -> Outcome:
    if not all(isinstance(thing, str | Path) for thing in things):
        return _train_on_tables(things, overrides, wish, say, ranks)
    objective, start_from, out = wish.objective, wish.start_from, wish.out
    names = [str(thing) for thing in things]
    first = Path(names[0])
    given = RunFolder(first).exists or first.suffix == ".toml" or _is_a_name(names[0])
    if given and objective is not None:
        raise UserError(f"{first}: says itself what is learned; objective = {objective!r} is for data files")
    if RunFolder(first).exists:
        if len(names) > 1 or overrides or out is not None or start_from is not None:
            raise UserError(
                f"{first}: a run goes on as it began; for other settings start a new one: "
                f"headway train {first / 'recipe.toml'} KEY=VALUE… --out FOLDER"
            )
        return go_on(first, say, ranks)
    if given:
        if len(names) > 1:
            raise UserError(f"{names[1]}: a recipe names its data; write data.train=[…] to change it")
        beginning = {} if start_from is None else {"start_from": str(start_from)}
        recipe = read_recipe(names[0], overrides, beginning)
    else:
        recipe = recipe_for(names, overrides, wish, say)
    plain = re.sub(r"[^\w-]", "", first.name.split(".")[0]).strip("-")
    return _start(recipe, plain or "run", wish, say, ranks)


def _start(
    recipe: Recipe,
    name: str,
    wish: Wish,
    say: Say,
    ranks: Ranks,
) -> Outcome:
    """Train in a folder of that name; processes that were launched anew go on where they were."""
    if ranks.world > 1 and "-" in (*recipe.data.train, *recipe.data.valid):
        raise UserError("data.train: several processes cannot share standard input; give files")
    restarted = ranks.sum([is_restarted()])[0] > 0  # on one machine at least
    before = ranks.first_says(_started_before(name, wish.out) if restarted else None)
    if before is not None:
        return go_on(before, say, ranks)
    folder: Path = ranks.first_says(wish.out or free_folder(name))
    say(f"run folder: {folder}")
    return start(recipe, folder, say, ranks=ranks)


def _started_before(name: str, out: Path | None) -> Path | None:
    """The run folder that this launch began before one of its processes failed."""
    runs = [RunFolder(path) for path in ([out] if out is not None else Path("runs").glob(f"{name}*"))]
    ours = [run for run in runs if run.exists and run.launched_by == launch()]
    return max(ours, key=lambda run: run.facts.stat().st_mtime_ns).path if ours else None


def _train_on_tables(
    tables: tuple[Any, ...], overrides: Sequence[str], wish: Wish, say: Say, ranks: Ranks
) -> Outcome:
    """A run on tables; their text lies in its folder, so that it can go on without them."""
    for table in tables:
        if not is_table(table):
            libraries = f"{', '.join(LIBRARIES[:-1])} or {LIBRARIES[-1]}"
            raise UserError(
                f"a {type(table).__name__} is no training data: give paths, or tables of {libraries} alone"
            )
    files = table_files(tables)
    folder: Path = ranks.first_says(wish.out or free_folder("run"))
    place = RunFolder(folder).data
    asked = read_data_config([], overrides)
    objective = wish.learned
    if objective is None:
        objective = "pairs" if files.has_pairs(asked) else "causal"
        say(f"the columns of the table: {_CHOSEN[objective]}")
    recipe = wish.recipe(objective, overrides, {"layout": "jsonl", **files.paths(place)}, say)
    say(f"run folder: {folder}")
    return start(recipe, folder, say, lambda: files.write(place, recipe.data, recipe.reads_pairs), ranks)


def go_on(folder: Path, say: Say, ranks: Ranks = ALONE) -> Outcome:
    """Resume a run; one that is finished is left alone and says so."""
    run = RunFolder(folder)
    if run.is_finished:
        say(
            f"{folder}: is finished, and its model is in {run.model}; to train anew: "
            f"headway train {run.recipe} --out FOLDER"
        )
        return Outcome(run, "finished before", {})
    return resume(folder, say, ranks)


def _is_a_name(name: str) -> bool:
    """Whether it can only be meant as a built-in recipe: a bare word that is no file."""
    return name.replace("-", "").isalnum() and not Path(name).exists()


def recipe_for(
    data: Sequence[str], overrides: Sequence[str], wish: Wish, say: Callable[[str], None]
) -> Recipe:
    """The built-in recipe for data of this kind: pairs, or plain text for a causal or masked model.

    What is decided here is said, with the reason.
    """
    reason, objective = "", wish.learned
    if objective is None:
        objective, reason = _objective_for(read_data_config(data, overrides))
    recipe = wish.recipe(objective, overrides, {"train": list(data)}, say)
    if reason:
        say(f"{reason}: {_CHOSEN[objective]}")
    return recipe


FINE_TUNING_RATE = 1e-4
"""Peak learning rate for weights that know something: with that of fresh ones they would forget it."""

_OBJECTIVES: dict[Architecture, str] = {"encoder-decoder": "pairs", "encoder": "masked", "decoder": "causal"}

_CHOSEN = {
    "pairs": "learning pairs; for plain text: --objective causal or masked",
    "causal": "learning a causal model of plain text; for pairs: --objective pairs; for blanks: masked",
}


def _objective_for(data: DataConfig) -> tuple[str, str]:
    """What can be learned from the data, and the reason."""
    if data.layout not in ("auto", "jsonl"):
        return ("pairs" if data.layout in OF_PAIRS else "causal"), f"data.layout is {data.layout}"
    if data.columns is not None:
        return "pairs", "data.columns names two columns"
    fields = f"fields {data.source_field!r} and {data.target_field!r}"
    if holds_pairs(data.train, data.source_field, data.target_field):
        return "pairs", f"there are TABs, or {fields}"
    return "causal", f"there are neither TABs nor {fields}"


def read_data_config(
    data: Sequence[str], overrides: Sequence[str], before: DataConfig | None = None
) -> DataConfig:
    """How the files are read: as `before`, with those of the overrides that are `data.KEY=VALUE`."""
    table = {**({} if before is None else asdict(before)), "train": list(data), "valid": []}
    ours = [override for override in overrides if override.partition(".")[0].strip() == "data"]
    return from_table(DataConfig, apply_overrides(Recipe, {"data": table}, ours)["data"])
