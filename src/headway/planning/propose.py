"""From data and wishes to a plan: what is to be learned, the facts, the machine, the choices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headway.config import apply_overrides, from_table
from headway.data.corpus import DataConfig
from headway.data.tables import TableFiles
from headway.errors import UserError
from headway.planning.facts import DataFacts, facts_of, measure
from headway.planning.machine import Machine, this_machine
from headway.planning.objective import CHOSEN, OBJECTIVES, objective_for, read_data_config
from headway.planning.plan import Plan, plan_for
from headway.planning.refuse import refuse_hopeless, scarce
from headway.planning.sample import Sample
from headway.planning.shape import Wishes
from headway.recipe import Recipe, read_recipe
from headway.runtime import RuntimeConfig
from headway.start_from import read_start

MOST_ROWS = 100_000
"""Rows of tables in memory that are looked at."""


@dataclass(frozen=True)
class Wish:
    """What is asked for beside data: what to learn, from where, into which folder, how long, how large."""

    objective: str | None = None
    start_from: str | Path | None = None
    out: Path | None = None
    dials: Wishes = field(default_factory=Wishes)

    @property
    def learned(self) -> str | None:
        """What is learned, if that is decided. Raises UserError if the model to start from learns other."""
        if self.start_from is None:
            return self.objective
        architecture = read_start(self.start_from).config.architecture
        if self.objective not in (None, OBJECTIVES[architecture]):
            raise UserError(
                f"{self.start_from}: holds a model of kind {architecture}, which learns "
                f"{OBJECTIVES[architecture]}, not {self.objective}"
            )
        return OBJECTIVES[architecture]


Say = Callable[[str], None]


def propose(
    names: Sequence[str],
    overrides: Sequence[str],
    wish: Wish,
    say: Say,
    machine: Machine | None = None,
) -> Plan:
    """The plan for data files. What was decided about them is said, with the reason."""
    data, objective, reason = read_data_config(names, overrides), wish.learned, ""
    if objective is None:
        objective, reason = objective_for(data)
    _check(objective, overrides, {"train": list(names)}, wish)
    facts = measure(data, objective == "pairs")
    refuse_hopeless(facts, ", ".join(data.train))
    if reason:
        say(f"{reason}: {CHOSEN[objective]}")
    return _plan(facts, objective, overrides, {"train": list(names)}, wish, say, machine)


def propose_for_tables(
    files: TableFiles,
    place: Path,
    overrides: Sequence[str],
    wish: Wish,
    say: Say,
    machine: Machine | None = None,
) -> Plan:
    """The plan for tables in memory, whose text is to lie in the folder `place`."""
    asked, objective = read_data_config([], overrides), wish.learned
    if objective is None:
        objective = "pairs" if files.has_pairs(asked) else "causal"
    data = {"layout": "jsonl", **files.paths(place)}
    _check(objective, overrides, data, wish)
    facts = _facts_of_tables(files, asked, objective == "pairs")
    refuse_hopeless(facts, "the table")
    if wish.learned is None:
        say(f"the columns of the table: {CHOSEN[objective]}")
    return _plan(facts, objective, overrides, data, wish, say, machine)


def _facts_of_tables(files: TableFiles, data: DataConfig, pairs: bool) -> DataFacts:
    records, rows = files.beginning(data, pairs, MOST_ROWS)
    return facts_of(Sample(records, "jsonl", len(records) / max(len(records), rows)), pairs, files.held_out)


def _check(objective: str, overrides: Sequence[str], data: dict[str, Any], wish: Wish) -> None:
    """Raises UserError for overrides that no recipe could follow, before any text is read."""
    apply_overrides(Recipe, {"data": data}, overrides)
    if wish.start_from is not None:
        if wish.dials.size is not None:
            raise UserError(f"{wish.start_from}: has its size already; leave out --size {wish.dials.size}")
        read_recipe(
            objective,
            overrides,
            {"data": data, "start_from": str(wish.start_from)},
            ("preset", "text", "model"),
        )


def _plan(
    facts: DataFacts,
    objective: str,
    overrides: Sequence[str],
    data: dict[str, Any],
    wish: Wish,
    say: Say,
    machine: Machine | None,
) -> Plan:
    machine = machine or machine_for(overrides)
    if warning := scarce(facts):
        say(warning)
    start = None if wish.start_from is None else str(wish.start_from)
    if start is not None:
        say(f"starting from {start}, with its shape and vocabulary")
    return plan_for(facts, machine, objective, overrides, data, wish.dials, start)


def machine_for(overrides: Sequence[str]) -> Machine:
    """This machine, as the overrides of `runtime` want it used."""
    ours = [each for each in overrides if each.partition(".")[0].strip() == "runtime"]
    given = apply_overrides(Recipe, {}, ours)
    return this_machine(from_table(RuntimeConfig, given.get("runtime", {})))
