"""Measures of one or several systems, as a table for people and JSON for programs."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from textwrap import fill
from typing import Any

from rich.table import Table

_NARROW = 11
"""Characters of an interval, to which the names of systems are broken: five columns fit 80 characters."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One figure of one system; `low` and `high` bound it with 95 % confidence (bootstrap over examples)."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    """`%` for shares, which are given as 0 … 100."""
    lower_is_better: bool = False
    signature: str = ""
    """How it was computed, in sacreBLEU's notation where it is sacreBLEU's."""

    def __str__(self) -> str:
        """The figure, and on a second line what bounds it."""
        shown = f"{rounded(self.value)}{' ' * bool(self.unit)}{self.unit}"
        if self.low is None or self.high is None:
            return shown
        return f"{shown}\n{rounded(self.low)}–{rounded(self.high)}"


NOISE = 0.05
"""A difference that chance alone makes as often as this lies within noise."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One measure of two systems on the same examples."""

    name: str
    first: float
    second: float
    p_value: float
    """How often chance alone makes a difference as large (paired bootstrap, two-sided)."""
    low: float
    """With `high` bounds of `difference` that hold with 95 % confidence (the same bootstrap)."""
    high: float

    @property
    def difference(self) -> float:
        """The first less the second."""
        return 0.0 if self.first == self.second else self.first - self.second

    @property
    def is_within_noise(self) -> bool:
        """Whether chance alone may well have made the difference."""
        return self.p_value >= NOISE

    def in_words(self) -> str:
        """What it says, and the figures behind it."""
        if self.first == self.second:
            return "there is no difference"
        verdict = "lies within noise" if self.is_within_noise else "is more than noise"
        return (
            f"the difference of {rounded(self.difference)} {verdict}: p = {self.p_value:.2g}; "
            f"95 % interval of the difference [{rounded(self.low)}, {rounded(self.high)}]"
        )

    def to_table(self) -> dict[str, Any]:
        """What JSON says of it."""
        own = {"difference": self.difference, "within_noise": self.is_within_noise}
        return {**asdict(self), **own, "in_words": self.in_words()}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The measures of a model, and of the baselines beside it."""

    examples: int
    systems: Mapping[str, Sequence[Measure]]
    """By name of system, the model first; a baseline may lack measures that make no sense for it."""
    comparisons: Sequence[Comparison] = ()
    """The first system against the second."""

    def to_json(self) -> str:
        """A JSON object; figures that are no finite numbers are null."""
        return json_text(self.to_table())

    def to_table(self) -> dict[str, Any]:
        """What JSON says of it."""
        return {**asdict(self), "comparisons": [each.to_table() for each in self.comparisons]}

    def table(self) -> Table:
        """A row for each measure and a column for each system, with the signatures below."""
        rows: dict[str, Measure] = {}
        for measures in self.systems.values():
            rows = {measure.name: measure for measure in measures} | rows
        signatures = [f"{row.name}: {row.signature}" for row in rows.values() if row.signature]
        said = [f"{each.name}, first less second: {each.in_words()}" for each in self.comparisons]
        caption = [f"{self.examples:,} examples; below each figure: 95 % confidence", *said, *signatures]
        table = Table(caption="\n".join(caption), caption_justify="left")
        table.add_column("measure")
        for system in self.systems:
            # Figures are never broken; a long name is.
            table.add_column(fill(system, _NARROW, break_long_words=False), justify="right", no_wrap=True)
        if self.comparisons:
            table.add_column("p", justify="right", no_wrap=True)
        p_values = {comparison.name: f"{comparison.p_value:.3f}" for comparison in self.comparisons}
        for name, row in rows.items():
            cells = [_cell(measures, name) for measures in self.systems.values()]
            last = [p_values.get(name, "")] if self.comparisons else []
            table.add_row(f"{name} {'↓' if row.lower_is_better else '↑'}", *cells, *last)
        return table


def _cell(measures: Sequence[Measure], name: str) -> str:
    return next((str(measure) for measure in measures if measure.name == name), "")


def rounded(value: float) -> str:
    """Two decimals, or three significant digits where that is more."""
    if not math.isfinite(value) or abs(value) >= 1 or value == 0:
        return f"{value:.2f}"
    return f"{value:.3g}"


def json_text(content: Mapping[str, Any]) -> str:
    """A JSON object; figures that are no finite numbers are null."""
    return json.dumps(_finite(content), indent=2, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
