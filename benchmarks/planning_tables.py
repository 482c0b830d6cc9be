"""The tables of `planning.py`: each variation beside the base, and whether seeds alone explain it."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from marks import markdown
from planning_rows import BASE, Experiment
from table3 import STUDENT

Found = Mapping[str, Mapping[str, Sequence[float]]]
"""By variation and data set: what its seeds reached."""


def tables(content: Mapping[str, Any], experiments: Sequence[Experiment]) -> str:
    """A table for each kind of data of which there are rows, and what was computed."""
    parts = []
    for experiment in experiments:
        rows = [row for row in content["rows"] if row["kind"] == experiment.kind]
        if any(row["variation"] == BASE for row in rows):
            parts += [f"### {experiment.kind}", table(experiment, rows)]
    where = content["machine"]
    parts.append(
        "Means over seeds; in brackets the difference to the base. Loss in nats a label, development part. "
        "The noise is what seeds alone may make of the mean difference (95 %, from the spread of seeds of "
        "all variations that have several). Each run had one core of: "
        f"{where['processor']}, torch {where['torch']}."
    )
    return "\n\n".join(parts)


def table(experiment: Experiment, rows: Sequence[Mapping[str, Any]]) -> str:
    """The variations of one kind of data, the best mean difference first."""
    errors = figures(rows, lambda row: row["measure"]["value"]) if experiment.measure else {}
    losses = figures(rows, lambda row: row["held_out"]["loss"])
    judged = errors or losses
    data = sorted({row["data"] for row in rows})
    sign = -1 if experiment.measure == "exact match" else 1
    found = [name for name in dict.fromkeys(row["variation"] for row in rows) if name != BASE]
    found.sort(
        key=lambda name: sign * (difference(judged, name, data) or 0.0) if name in judged else math.inf
    )
    lines = []
    for name in (BASE, *found):
        mine = [row for row in rows if row["variation"] == name]
        cells = [cell(judged, name, each) for each in data]
        lines.append(
            [
                name,
                changes(experiment, mine[0]) if name != BASE else "",
                steps_of(mine),
                max((len(judged.get(name, {}).get(each, ())) for each in data), default=0),
                *cells,
                *(_beside(judged, name, data, sign) if name != BASE else ("", "", "")),
                _signed(difference(losses, name, data), 4) if name != BASE else "",
            ]
        )
    what = experiment.measure or "loss"
    header = ["variation", "what changes", "steps", "seeds", *(f"{what}, {each}" for each in data)]
    header += ["mean difference", "noise", "verdict", "loss, mean difference"]
    right = (2, 3, *range(4, 4 + len(data)), 4 + len(data), 5 + len(data), 7 + len(data))
    return markdown(header, lines, right=right)


def figures(rows: Sequence[Mapping[str, Any]], figure: Any) -> dict[str, dict[str, list[float]]]:
    """One figure of all rows that have it, by variation and data set."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if "failed" not in row:
            found.setdefault(row["variation"], {}).setdefault(row["data"], []).append(figure(row))
    return found


def shared(found: Found, name: str, data: Sequence[str]) -> list[str]:
    """The data sets of which there are rows of both the variation and the base."""
    return [each for each in data if each in found.get(name, {}) and each in found.get(BASE, {})]


def difference(found: Found, name: str, data: Sequence[str]) -> float | None:
    """The mean over data sets of a variation's difference to the base; None if they share no data set."""
    both = shared(found, name, data)
    if not both:
        return None
    return statistics.mean(
        statistics.mean(found[name][each]) - statistics.mean(found[BASE][each]) for each in both
    )


def noise(found: Found, name: str, data: Sequence[str]) -> float:
    """The largest mean difference that seeds alone make in 95 % of cases.

    By the spread of seeds that all variations with several of them have in common; infinite if none has.
    """
    several = [values for each in found.values() for values in each.values() if len(values) > 1]
    freedom = sum(len(values) - 1 for values in several)
    both = shared(found, name, data)
    if not freedom or not both:
        return math.inf
    squares = sum(statistics.variance(values) * (len(values) - 1) for values in several)
    counts = sum(1 / len(found[name][each]) + 1 / len(found[BASE][each]) for each in both)
    student = STUDENT[freedom - 1] if freedom <= len(STUDENT) else 1.96 + 2.5 / freedom
    return student * math.sqrt(squares / freedom * counts) / len(both)


def verdict(change: float, around: float, sign: int) -> str:
    """What a mean difference says; `sign` is -1 where higher is better."""
    if abs(change) <= around:
        return "within noise"
    return "better" if change * sign < 0 else "worse"


def _beside(found: Found, name: str, data: Sequence[str], sign: int) -> tuple[str, str, str]:
    change = difference(found, name, data)
    if change is None:
        return "", "", "failed"
    around = noise(found, name, data)
    if math.isinf(around):
        return _signed(change, 3), "", "one seed tells nothing"
    return _signed(change, 3), f"{around:.3f}", verdict(change, around, sign)


def cell(found: Found, name: str, data: str) -> str:
    """The mean of a variation on a data set, and how far it is from the base."""
    values = found.get(name, {}).get(data)
    if not values:
        return ""
    digits = 2 if statistics.mean(values) >= 5 else 4
    shown = f"{statistics.mean(values):.{digits}f}"
    if name == BASE:
        return shown + (f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else "")
    change = difference(found, name, [data])
    return shown if change is None else f"{shown} ({_signed(change, digits)})"


def changes(experiment: Experiment, row: Mapping[str, Any]) -> str:
    """The keys in which a row differs from the base as it is now listed."""
    base = experiment.settings(BASE)
    changed = [f"`{key}={value}`" for key, value in row["settings"].items() if base.get(key) != value]
    return " ".join(changed)


def steps_of(rows: Sequence[Mapping[str, Any]]) -> str:
    least, most = (pick(row["steps"] for row in rows) for pick in (min, max))
    return f"{least:,}" if least == most else f"{least:,}–{most:,}"


def _signed(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:+.{digits}f}".replace("-", "−")
