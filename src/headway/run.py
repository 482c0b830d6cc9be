"""A run: from a recipe, or from where it stopped, to a model folder."""

import json
import os
import platform
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from headway.data.corpus import DataConfig
from headway.data.prepare import Prepared, prepare, saved_tokenizers
from headway.errors import FolderError, RecipeError, UserError
from headway.model.config import TransformerConfig
from headway.preflight.finding import Preflight
from headway.recipe import Recipe, read_whole_recipe, recipe_text
from headway.run_folder import RunFolder
from headway.sealed_folder import settle, write_whole
from headway.start_from import read_start
from headway.text.tokenizer import Tokenizers
from headway.trainer import Say, Trainer
from headway.training.distributed import ALONE, Ranks, launch
from headway.training.interrupt import exit_status, termination


@dataclass(frozen=True)
class Outcome:
    """How a run ended: with a model folder, or asked to stop by a signal."""

    folder: RunFolder
    reason: str
    metrics: dict[str, float]
    exit_status: int = 0


def start(
    recipe: Recipe,
    folder: Path,
    say: Say,
    write_data: Callable[[], None] | None = None,
    ranks: Ranks = ALONE,
) -> Outcome:
    """Train by the recipe in a new folder. Raises FolderError if something is there.

    `write_data` writes files that the recipe names inside the folder. Of several processes all call it.
    """
    run = RunFolder(folder)
    if ranks.first_says(run.is_taken):
        way = f"go on with it by `headway train {folder}`, or name" if run.exists else "name"
        raise FolderError(f"{folder}: is there already; {way} another")
    ours = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    recipe = replace(recipe, data=_with_paths(recipe.data, os.path.expanduser))
    try:
        with _alone_in(run, ranks):
            try:
                if ranks.is_first:
                    if write_data is not None:
                        write_data()
                    _begin(run, recipe)
                ranks.wait()
                return _go_on(run, recipe, say, ranks)
            except UserError:
                if ours and ranks.is_first and not run.checkpoints.exists():
                    run.take_back()
                raise
    finally:
        if ours and ranks.is_first:
            with suppress(OSError):  # something is in it
                folder.rmdir()


def resume(folder: Path, say: Say, ranks: Ranks = ALONE) -> Outcome:
    """Go on with the run in a folder from its newest whole checkpoint, or from the start if it has none."""
    run = RunFolder(folder)
    if not run.exists:
        raise FolderError(f"{folder}: is no run folder, since {run.recipe.name} is missing")
    with _alone_in(run, ranks):
        return _go_on(run, read_whole_recipe(run.recipe), say, ranks)


def check(recipe: Recipe, say: Say) -> Preflight:
    """What the checks before the first step of a run by the recipe find; nothing is trained or kept."""
    recipe = replace(recipe, data=_with_paths(recipe.data, os.path.expanduser))
    with TemporaryDirectory(prefix="headway-check-", ignore_cleanup_errors=True) as folder:
        return _trainer(RunFolder(Path(folder)), recipe, say, ALONE).check()


def _alone_in(run: RunFolder, ranks: Ranks) -> AbstractContextManager[None]:
    """The lock of the folder, which the first process holds for all."""
    return run.locked() if ranks.is_first else nullcontext()


def _begin(run: RunFolder, recipe: Recipe) -> None:
    """Write what a run is known by: facts, and then the recipe with whole paths, to go on from wherever.

    It is the recipe that makes a run folder: one that is killed before it is written begins anew.
    """
    whole = replace(recipe, data=_with_paths(recipe.data, lambda path: str(Path(path).absolute())))
    if recipe.start_from is not None:
        whole = replace(whole, start_from=str(Path(recipe.start_from).expanduser().absolute()))
    facts = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": recipe.seed,
        "versions": {name: version(name) for name in ("headway", "torch", "tokenizers", "numpy")},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "launch": launch(),
    }
    write_whole(run.facts, json.dumps(facts, indent=2) + "\n")
    write_whole(run.recipe, recipe_text(whole))


def _with_paths(data: DataConfig, change: Callable[[str], str]) -> DataConfig:
    """The same data with its paths changed; standard input and what is empty are no paths."""
    train, valid, (cache,) = (
        tuple(path if path in ("", "-") else change(path) for path in paths)
        for paths in (data.train, data.valid, (data.cache,))
    )
    return replace(data, train=train, valid=valid, cache=cache)


def _go_on(run: RunFolder, recipe: Recipe, say: Say, ranks: Ranks) -> Outcome:
    """Prepare the text and train; the tokenizers with which the run began stay, even if the text changes."""
    if recipe.runtime.threads:
        torch.set_num_threads(recipe.runtime.threads)
    try:
        with termination():
            if ranks.is_first:
                settle(run.path)
                settle(run.checkpoints)
            trainer = _trainer(run, recipe, say, ranks)
            reason, metrics = trainer.run()
    except KeyboardInterrupt as error:
        return Outcome(run, "stopped at once", {}, exit_status(error))
    except OSError:
        say(f"the run has stopped; when what stopped it is gone, go on with: headway train {run.path}")
        raise
    if not reason:
        return Outcome(run, "stopped when asked to", {}, trainer.asked.exit_status)
    return Outcome(run, reason, metrics)


def _trainer(run: RunFolder, recipe: Recipe, say: Say, ranks: Ranks) -> Trainer:
    for turn in (True, False):  # the first process prepares the text, the others find it prepared
        if ranks.is_first is turn:
            prepared = _prepare(run, recipe, say)
        ranks.wait()
    for line in prepared.report:
        say(line)
    if recipe.start_from is None:
        recipe = replace(recipe, model=with_vocabulary(recipe.model, prepared.tokenizers))
    check_positions(recipe, prepared)
    return Trainer(run, recipe, prepared, say, ranks)


def _prepare(run: RunFolder, recipe: Recipe, say: Say) -> Prepared:
    tokenizers = saved_tokenizers(run.tokenizers, recipe.text, recipe.reads_pairs)
    if tokenizers is None and recipe.start_from is not None:
        tokenizers = read_start(recipe.start_from).tokenizers
    return prepare(
        recipe.data,
        recipe.text,
        pairs=recipe.reads_pairs,
        folder=Path(recipe.data.cache) if recipe.data.cache else run.data,
        seed=recipe.seed,
        progress=say,
        tokenizers=tokenizers,
    )


def with_vocabulary(model: TransformerConfig, tokenizers: Tokenizers) -> TransformerConfig:
    """The model at the sizes that its tokenizers really have."""
    source, target = tokenizers
    own = source.vocab_size if source is not None and source is not target else None
    return replace(model, vocab_size=target.vocab_size, source_vocab_size=own)


def check_positions(recipe: Recipe, prepared: Prepared) -> None:
    """Raises RecipeError if a text is longer than the table of learned positions."""
    positions = recipe.model.positions
    if positions.kind != "learned":
        return
    needed, remedy = recipe.batch.context, "choose a shorter batch.context"
    if recipe.reads_pairs:
        files = (prepared.train, prepared.valid)
        needed = max(max(file.longest, file.longest_source) for file in files) + 1
        remedy = "leave longer pairs out by data.max_source and data.max_target"
    if needed > positions.max_length:
        raise RecipeError(
            f"model.positions.max_length = {positions.max_length}: rows of {needed} tokens need as many "
            f"learned positions; raise it, or {remedy}"
        )


def say_on_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
