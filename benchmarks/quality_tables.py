"""The tables of `quality.py`: each data set beside what is published on it; what is missing is shown so."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from marks import markdown
from quality_known import KNOWN, TASKS, Known, Task

Row = Mapping[str, Any]

HEADER = (
    "data",
    "system",
    "minutes",
    "cores",
    "seed 1 (95 %)",
    "all seeds: mean ± deviation (least–most)",
    "published",
    "parameters",
    "steps",
    "passes",
    "tokens/s",
)
RIGHT = (2, 3, 4, 5, 7, 8, 9, 10)


def tables(rows: Sequence[Row]) -> str:
    """The whole page."""
    parts = [
        "# Quality with no setting touched",
        "Made by `python benchmarks/quality.py FOLDER`: for each data set `headway train TRAIN "
        'data.valid=["DEV"] --minutes N seed=S`, judged once on the test part. What the plan chose stands in '
        "quality.json.",
    ]
    for task in TASKS:
        parts += [f"## {task.kind}: {task.measure}", table(task, rows), *_notes(task, rows)]
    machines = sorted({f"{row['machine']['processor']}, torch {row['machine']['torch']}" for row in rows})
    if machines:
        parts.append(f"Machine: {'; '.join(machines)}.")
    return "\n\n".join(parts) + "\n"


def table(task: Task, rows: Sequence[Row]) -> str:
    """A line for each data set, system and time of training; the mean over several data sets last."""
    lines = []
    data = (*task.data, *sorted({row["data"] for row in rows if _spells(row, task)} - set(task.data)))
    for name in data:
        groups = groups_of([row for row in rows if row["data"] == name])
        if not any(key == ("headway", task.minutes) for key in groups):
            groups = {("headway", task.minutes): [], **groups}
        lines += [_line(name, system, minutes, group) for (system, minutes), group in groups.items()]
    if len(task.data) > 1:
        lines.append(_mean(task, rows))
    return markdown(HEADER, lines, right=RIGHT)


def groups_of(rows: Sequence[Row]) -> dict[tuple[str, float], list[Row]]:
    """The seeds of each system and time."""
    found: dict[tuple[str, float], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row["minutes"], row["system"], row["seed"])):
        found.setdefault((row["system"], row["minutes"]), []).append(row)
    return found


def _spells(row: Row, task: Task) -> bool:
    """Whether it is the task's data in another spelling."""
    return row["data"].startswith(("letters/", "inflect/")) and task.kind == "inflect"


def _line(name: str, system: str, minutes: float, rows: Sequence[Row]) -> list[object]:
    known = "; ".join(f"{each.what}: {each.value}" for each in KNOWN.get(name, ()))
    first = next((row for row in rows if row["seed"] == 1), None)
    if not rows:
        return [name, system, f"{minutes:g}", "", "missing", "", known, "", "", "", ""]
    shown = rows[0] if first is None else first
    return [
        name,
        system,
        f"{minutes:g}",
        shown["threads"],
        "missing" if first is None else figure(first["measure"]),
        spread([row["measure"]["value"] for row in rows], digits_of(shown["measure"])),
        known,
        f"{shown['parameters']:,}",
        f"{shown['steps']:,}",
        f"{shown['epochs']:.1f}",
        f"{shown['tokens_per_second']:,}",
    ]


def _mean(task: Task, rows: Sequence[Row]) -> list[object]:
    """The mean over data sets of seed 1; it says how many there are."""
    ours = [
        row
        for row in rows
        if (row["system"], row["minutes"], row["seed"]) == ("headway", task.minutes, 1)
        and row["data"] in task.data
    ]
    known = "; ".join(f"{each.what}: {each.value}" for each in task.means)
    name = f"mean of {len(ours)} of {len(task.data)}" if len(ours) < len(task.data) else "mean"
    shown = f"{statistics.mean(row['measure']['value'] for row in ours):.2f}" if ours else "missing"
    beside = f" (of all {len(task.data)}: {known})" if known and len(ours) < len(task.data) else known
    return [name, "headway", f"{task.minutes:g}", "", shown, "", beside.strip(), "", "", "", ""]


def figure(measure: Mapping[str, Any]) -> str:
    """A figure with its interval."""
    digits = digits_of(measure)
    return f"{measure['value']:.{digits}f} ({measure['low']:.{digits}f}–{measure['high']:.{digits}f})"


def digits_of(measure: Mapping[str, Any]) -> int:
    """Losses in nats need more than shares in per cent."""
    return 2 if measure["unit"] == "%" or measure["value"] > 10 else 4


def spread(values: Sequence[float], digits: int) -> str:
    """Several seeds' mean, standard deviation and range; empty for one."""
    if len(values) < 2:
        return ""
    middle, around = statistics.mean(values), statistics.stdev(values)
    least, most = (f"{value:.{digits}f}" for value in (min(values), max(values)))
    return f"{len(values)}: {middle:.{digits}f} ± {around:.{digits}f} ({least}–{most})"


def _notes(task: Task, rows: Sequence[Row]) -> list[str]:
    """Where what is published comes from, and how the figure was computed."""
    known: list[Known] = [*task.means, *(each for name in task.data for each in KNOWN.get(name, ()))]
    sources = sorted({f"{each.what}: {each.source}" for each in known})
    signatures = sorted({row["measure"]["signature"] for row in rows if row["data"] in task.data} - {""})
    found = [f"Published: {'; '.join(sources)}."] if sources else []
    return [*found, *([f"Measured as: {'; '.join(signatures)}."] if signatures else [])]
