"""`headway.train(...)`: a model from a recipe, from data, or from a run that was stopped."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Unpack

from headway.data.tables import LIBRARIES, TableFiles, is_table, table_files
from headway.errors import UserError
from headway.planning.machine import Machine, Work
from headway.planning.plan import Plan
from headway.planning.propose import Wish, machine_for, propose, propose_for_tables
from headway.planning.shape import Dials, Wishes
from headway.planning.show import lines_of, write_plan
from headway.preflight.finding import Preflight
from headway.recipe import Recipe, read_recipe
from headway.run import Outcome, resume, say_on_stderr, start
from headway.run import check as run_checks
from headway.run_folder import RunFolder, free_folder
from headway.trainer import Say
from headway.training.distributed import ALONE, Ranks, is_restarted, joined, launch


def train(
    *things: Any,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    objective: Literal["pairs", "causal", "masked"] | None = None,
    start_from: str | Path | None = None,
    say: Callable[[str], None] = say_on_stderr,
    **dials: Unpack[Dials],
) -> Outcome:
    """Train by a recipe (a .toml file or a built-in name), on data files, or on with a run folder.

    Data may also be tables in memory: frames of pandas or polars, and data sets of `datasets`. For data a
    recipe is planned, for so many `minutes` of training and a model of that `size`, where they are given.
    `overrides` change the recipe, and the plan adapts to them, as in `["model.dropout=0.2"]`. `start_from` is
    a model or run folder whose model is trained further, with its shape and vocabularies. The outcome names
    the run folder, in which `model` is the model folder that `headway.load` opens.
    """
    if not things:
        raise UserError("name a recipe, data files, or a run folder to go on with")
    wish = Wish(objective, start_from, Path(out) if out is not None else None, Wishes(**dials))
    with joined() as ranks:
        return _train(things, overrides, wish, say if ranks.is_first else _say_nothing, ranks)


def plan(
    *data: Any,
    overrides: Sequence[str] = (),
    objective: Literal["pairs", "causal", "masked"] | None = None,
    start_from: str | Path | None = None,
    say: Callable[[str], None] = say_on_stderr,
    **dials: Unpack[Dials],
) -> Plan:
    """The recipe that `train` would follow for data, with the reason of each choice; nothing is trained.

    Data and the other arguments are those of `train`.
    """
    wish = Wish(objective, start_from, None, Wishes(**dials))
    if not data:
        raise UserError("name data files to plan for")
    if not all(isinstance(thing, str | Path) for thing in data):
        return propose_for_tables(_files_of(data), Path("data"), overrides, wish, say)
    return propose([str(thing) for thing in data], overrides, wish, say)


def check(
    *things: Any,
    overrides: Sequence[str] = (),
    objective: Literal["pairs", "causal", "masked"] | None = None,
    start_from: str | Path | None = None,
    say: Callable[[str], None] = say_on_stderr,
    **dials: Unpack[Dials],
) -> Preflight:
    """What `train` would find in text, held-out text and the fresh model before its first step.

    The arguments are those of `train`, but for tables in memory; nothing is trained or written.
    """
    if not things or not all(isinstance(thing, str | Path) for thing in things):
        raise UserError("name a recipe, data files, or a run folder to check")
    first = Path(things[0])
    if RunFolder(first).exists:
        first = RunFolder(first).recipe
    if first.suffix != ".toml" and not _is_a_name(str(first)):
        planned = plan(
            *things, overrides=overrides, objective=objective, start_from=start_from, say=say, **dials
        )
        return run_checks(planned.recipe, say)
    if len(things) > 1 or objective is not None or Wishes(**dials) != Wishes():
        raise UserError(f"{first}: says itself what is learned, from what, and how long; change its keys")
    beginning = {} if start_from is None else {"start_from": str(start_from)}
    return run_checks(read_recipe(str(first), overrides, beginning), say)


def _say_nothing(line: str) -> None:
    """One process speaks for all."""


def _train(things: tuple[Any, ...], overrides: Sequence[str], wish: Wish, say: Say, ranks: Ranks) -> Outcome:
    if not all(isinstance(thing, str | Path) for thing in things):
        return _train_on_tables(things, overrides, wish, say, ranks)
    objective, start_from, out = wish.objective, wish.start_from, wish.out
    names = [str(thing) for thing in things]
    first = Path(names[0])
    planned: Plan | None = None
    given = RunFolder(first).exists or first.suffix == ".toml" or _is_a_name(names[0])
    if given and objective is not None:
        raise UserError(f"{first}: says itself what is learned; objective = {objective!r} is for data files")
    if given and wish.dials != Wishes():
        raise UserError(f"{first}: says itself how long and how large; minutes and size are for data files")
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
        _refuse_shared_input(names, ranks)
        planned = propose(names, overrides, wish, say, _machine(overrides, ranks))
        recipe = planned.recipe
    plain = re.sub(r"[^\w-]", "", first.name.split(".")[0]).strip("-")
    return _start(recipe, plain or "run", wish, say, ranks, planned)


def _refuse_shared_input(paths: Sequence[str], ranks: Ranks) -> None:
    if ranks.world > 1 and "-" in paths:
        raise UserError("data.train: several processes cannot share standard input; give files")


def _machine(overrides: Sequence[str], ranks: Ranks) -> Machine:
    """The machine, on which the first process measures for all."""
    machine = machine_for(overrides)
    if ranks.world == 1:
        return machine

    def seconds(work: Work) -> float:
        share = replace(work, rows=-(-work.rows // ranks.world))
        return float(ranks.first_says(machine.seconds(share) if ranks.is_first else 0.0))

    return replace(machine, seconds=seconds)


def _start(
    recipe: Recipe, name: str, wish: Wish, say: Say, ranks: Ranks, planned: Plan | None = None
) -> Outcome:
    """Train in a folder of that name; processes that were launched anew go on where they were."""
    _refuse_shared_input((*recipe.data.train, *recipe.data.valid), ranks)
    restarted = ranks.sum([is_restarted()])[0] > 0  # on one machine at least
    before = ranks.first_says(_started_before(name, wish.out) if restarted else None)
    if before is not None:
        return go_on(before, say, ranks)
    folder: Path = ranks.first_says(wish.out or free_folder(name))
    _tell(planned, say)
    say(f"run folder: {folder}")
    write = None if planned is None else partial(write_plan, planned, RunFolder(folder).plan)
    return start(recipe, folder, say, write, ranks=ranks)


def _tell(planned: Plan | None, say: Say) -> None:
    if planned is not None:
        for line in lines_of(planned):
            say(line)


def _started_before(name: str, out: Path | None) -> Path | None:
    """The run folder that this launch began before one of its processes failed."""
    runs = [RunFolder(path) for path in ([out] if out is not None else Path("runs").glob(f"{name}*"))]
    ours = [run for run in runs if run.exists and run.launched_by == launch()]
    return max(ours, key=lambda run: run.facts.stat().st_mtime_ns).path if ours else None


def _train_on_tables(
    tables: tuple[Any, ...], overrides: Sequence[str], wish: Wish, say: Say, ranks: Ranks
) -> Outcome:
    """A run on tables; their text lies in its folder, so that it can go on without them."""
    files = _files_of(tables)
    folder: Path = ranks.first_says(wish.out or free_folder("run"))
    place = RunFolder(folder).data
    planned = propose_for_tables(files, place, overrides, wish, say, _machine(overrides, ranks))
    recipe = planned.recipe
    _tell(planned, say)
    say(f"run folder: {folder}")

    def write() -> None:
        files.write(place, recipe.data, recipe.reads_pairs)
        write_plan(planned, RunFolder(folder).plan)

    return start(recipe, folder, say, write, ranks)


def _files_of(tables: tuple[Any, ...]) -> TableFiles:
    """Tables as files of a run. Raises UserError for other objects."""
    for table in tables:
        if not is_table(table):
            libraries = f"{', '.join(LIBRARIES[:-1])} or {LIBRARIES[-1]}"
            raise UserError(
                f"a {type(table).__name__} is no training data: give paths, or tables of {libraries} alone"
            )
    return table_files(tables)


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
