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
        shown = f"{_rounded(self.value)}{' ' * bool(self.unit)}{self.unit}"
        if self.low is None or self.high is None:
            return shown
        return f"{shown}\n{_rounded(self.low)}–{_rounded(self.high)}"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One measure of two systems on the same examples."""

    name: str
    first: float
    second: float
    p_value: float
    """How often chance alone makes a difference as large (paired bootstrap, two-sided)."""


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
        return json.dumps(_finite(asdict(self)), indent=2, ensure_ascii=False)

    def table(self) -> Table:
        """A row for each measure and a column for each system, with the signatures below."""
        rows: dict[str, Measure] = {}
        for measures in self.systems.values():
            rows = {measure.name: measure for measure in measures} | rows
        signatures = [f"{row.name}: {row.signature}" for row in rows.values() if row.signature]
        caption = [f"{self.examples:,} examples; below each figure: 95 % confidence", *signatures]
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


def _rounded(value: float) -> str:
    """Two decimals, or three significant digits where that is more."""
    if not math.isfinite(value) or abs(value) >= 1 or value == 0:
        return f"{value:.2f}"
    return f"{value:.3g}"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
