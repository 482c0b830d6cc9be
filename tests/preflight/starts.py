"""Runs before their first step, by the tiny recipes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headway.data.prepare import Prepared, prepare
from headway.preflight.trial import Start, Trial, trial_of
from headway.recipe import Recipe, read_recipe
from headway.run import with_vocabulary
from headway.run_folder import RunFolder
from headway.trainer import Trainer
from headway.training.distributed import ALONE
from tests.tiny import CAUSAL, MASKED, PAIRS, write_pairs, write_text

TINY = {"pairs": PAIRS, "causal": CAUSAL, "masked": MASKED}


def silent(_: str) -> None:
    pass


def recipe_of(kind: str, train: Path, *overrides: str, valid: Sequence[Path] = ()) -> Recipe:
    data = {"train": [str(train)], "valid": list(map(str, valid))}
    return read_recipe(kind, [*TINY[kind], "stop.steps=9", *overrides], {"data": data})


def prepared_by(recipe: Recipe, folder: Path) -> Prepared:
    pairs, place = recipe.reads_pairs, folder / "data"
    return prepare(recipe.data, recipe.text, pairs=pairs, folder=place, seed=recipe.seed, progress=silent)


def start_of(recipe: Recipe, folder: Path) -> Start:
    """The start of a run, as a trainer makes it."""
    prepared = prepared_by(recipe, folder)
    recipe = replace(recipe, model=with_vocabulary(recipe.model, prepared.tokenizers))
    trainer = Trainer(RunFolder(folder), recipe, prepared, silent, ALONE)
    batches = next(trainer.train_batches.epoch(0))
    return Start(recipe, prepared, trainer.model, batches, "float32", trainer.peak_rate)


def tiny_start(kind: str, folder: Path, *overrides: str) -> Start:
    train = write_pairs(folder) if kind == "pairs" else write_text(folder)
    return start_of(recipe_of(kind, train, *overrides), folder)


def tiny_trial(kind: str, folder: Path, *overrides: str) -> Trial:
    start = tiny_start(kind, folder, *overrides)
    assert start.model is not None
    return trial_of(start, start.model)
