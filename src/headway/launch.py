"""`headway.train(...)`: a model from a recipe, from data, or from a run that was stopped."""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from headway.config import apply_overrides, from_table
from headway.data.corpus import DataConfig
from headway.data.layout import OF_PAIRS, holds_pairs
from headway.errors import UserError
from headway.recipe import Recipe, read_recipe
from headway.run import Outcome, resume, say_on_stderr, start
from headway.run_folder import RunFolder, free_folder


def train(
    *things: str | Path,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    objective: Literal["pairs", "causal", "masked"] | None = None,
    say: Callable[[str], None] = say_on_stderr,
) -> Outcome:
    """Train by a recipe (a .toml file or a built-in name), on data files, or on with a run folder.

    `overrides` change the recipe, as in `["stop.minutes=10"]`. The outcome names the run folder, in which
    `model` is the model folder that `headway.load` opens.
    """
    if not things:
        raise UserError("name a recipe, data files, or a run folder to go on with")
    names = [str(thing) for thing in things]
    first = Path(names[0])
    given = RunFolder(first).exists or first.suffix == ".toml" or _is_a_name(names[0])
    if given and objective is not None:
        raise UserError(f"{first}: says itself what is learned; objective = {objective!r} is for data files")
    if RunFolder(first).exists:
        if len(names) > 1 or overrides or out is not None:
            raise UserError(
                f"{first}: a run goes on as it began; for other settings start a new one: "
                f"headway train {first / 'recipe.toml'} KEY=VALUE… --out FOLDER"
            )
        return go_on(first, say)
    if given:
        if len(names) > 1:
            raise UserError(f"{names[1]}: a recipe names its data; write data.train=[…] to change it")
        recipe = read_recipe(names[0], overrides)
    else:
        recipe = recipe_for(names, overrides, objective, say)
    plain = re.sub(r"[^\w-]", "", first.name.split(".")[0]).strip("-")
    folder = Path(out) if out is not None else free_folder(plain or "run")
    say(f"run folder: {folder}")
    return start(recipe, folder, say)


def go_on(folder: Path, say: Callable[[str], None]) -> Outcome:
    """Resume a run; one that is finished is left alone and says so."""
    run = RunFolder(folder)
    if run.is_finished:
        say(
            f"{folder}: is finished, and its model is in {run.model}; to train anew: "
            f"headway train {run.recipe} --out FOLDER"
        )
        return Outcome(run, "finished before", {})
    return resume(folder, say)


def _is_a_name(name: str) -> bool:
    """Whether it can only be meant as a built-in recipe: a bare word that is no file."""
    return name.replace("-", "").isalnum() and not Path(name).exists()


def recipe_for(
    data: Sequence[str], overrides: Sequence[str], objective: str | None, say: Callable[[str], None]
) -> Recipe:
    """The built-in recipe for data of this kind: pairs, or plain text for a causal or masked model.

    What is decided here is said, with the reason.
    """
    reason = ""
    if objective is None:
        objective, reason = _objective_for(read_data_config(data, overrides))
    recipe = read_recipe(objective, overrides, {"data": {"train": list(data)}})
    if reason:
        say(f"{reason}: {_CHOSEN[objective]}")
    return recipe


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
