"""Several seeds of one recipe on the same data: what each reaches, and how far they lie apart."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from headway.evaluation.result import Evaluation, json_text, rounded


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One measure over seeds."""

    name: str
    values: tuple[float, ...]
    unit: str = ""
    lower_is_better: bool = False

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """The standard deviation of what another seed would reach; None of a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def to_table(self) -> dict[str, Any]:
        """What JSON says of it."""
        ends = {"least": min(self.values), "most": max(self.values)}
        own = {"mean": self.mean, "deviation": self.deviation, **ends}
        return {"name": self.name, "values": list(self.values), **own, "unit": self.unit}


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """Measures by name of seed, in the same order in all of them."""

    names: Sequence[str]
    spreads: Sequence[Spread]

    def table(self) -> Table:
        """A row for each measure, a column for each seed; mean, deviation and range last."""
        table = Table()
        table.add_column("measure")
        for name in (*self.names, "mean", "deviation", "range"):
            table.add_column(name, justify="right")
        for spread in self.spreads:
            cells = [rounded(value) for value in spread.values]
            deviation = "" if spread.deviation is None else rounded(spread.deviation)
            ends = f"{rounded(min(spread.values))}–{rounded(max(spread.values))}"
            arrow = "↓" if spread.lower_is_better else "↑"
            unit = f" {spread.unit}" if spread.unit else ""
            table.add_row(f"{spread.name} {arrow}{unit}", *cells, rounded(spread.mean), deviation, ends)
        return table


def seeds_of(evaluations: Mapping[str, Evaluation]) -> Seeds:
    """The spread of the model's measures that all seeds have; by name of seed."""
    systems = [{measure.name: measure for measure in each.systems["model"]} for each in evaluations.values()]
    first = systems[0]
    spreads = [
        Spread(
            name=name,
            values=tuple(system[name].value for system in systems),
            unit=first[name].unit,
            lower_is_better=first[name].lower_is_better,
        )
        for name in first
        if all(name in system for system in systems)
    ]
    return Seeds(names=list(evaluations), spreads=spreads)


def seeds_json(evaluations: Mapping[str, Evaluation]) -> str:
    """A JSON object: the spread of each measure, and the whole evaluation of each seed."""
    spreads = [spread.to_table() for spread in seeds_of(evaluations).spreads]
    return json_text(
        {"measures": spreads, "seeds": {name: each.to_table() for name, each in evaluations.items()}}
    )
