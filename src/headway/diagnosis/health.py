"""The health of a run, for people: how far it is, what is wrong, its curves, and what its model says."""

import json
from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from headway.diagnosis.curves import text_curves
from headway.diagnosis.examination import SIGNS, findings_in
from headway.diagnosis.history import History
from headway.run_folder import RunFolder
from headway.training.report import shorten

SAMPLES = 4
"""Predictions that are shown."""


def health(folder: Path, history: History) -> Iterator[Table | str]:
    """All of it, in parts to be printed one after the other."""
    yield _standing(RunFolder(folder), history)
    yield _checks(RunFolder(folder).preflight)
    yield _findings(history)
    yield escape(text_curves(history))
    if history.looks:
        yield _validations(history)
    if history.chosen_look is not None and history.chosen_look.samples:
        yield _samples(history)


def _standing(run: RunFolder, history: History) -> str:
    state = "finished" if history.finished else "running" if run.is_running else "stopped"
    if not history.steps:
        return f"{escape(str(run.path))}: {state}, no step written down yet"
    last = history.steps[-1]
    return (
        f"{escape(str(run.path))}: {state}, at step {last.step:,}, "
        f"epoch {last.epoch:.2f}, {last.seconds / 60:,.1f} minutes of training, "
        f"{last.tokens_per_second:,.0f} predicted tokens/s"
    )


def _findings(history: History) -> str | Table:
    found = findings_in(history)
    if not found:
        return f"diagnosis: nothing wrong ({len(SIGNS)} signs looked for)"
    table = Table(title="diagnosis", title_justify="left", show_lines=True)
    for column in ("sign", "what was seen", "what to do"):
        table.add_column(column, overflow="fold")
    for finding in found:
        table.add_row(*map(escape, (finding.sign, finding.found, finding.remedy)))
    return table


def _checks(path: Path) -> str | Table:
    """What the checks before the first step found, where they were made."""
    try:
        checks = json.loads(path.read_text("utf-8"))["findings"]
        rows = [[str(check[key]) for key in ("check", "level", "message", "remedy")] for check in checks]
    except (OSError, ValueError, KeyError, TypeError):
        return "checks before the first step: none written down"
    bad = [row for row in rows if row[1] != "ok"]
    if not bad:
        return f"checks before the first step: all {len(rows)} passed"
    table = Table(title="checks before the first step", title_justify="left", show_lines=True)
    for column in ("check", "level", "what was seen", "what to do"):
        table.add_column(column, overflow="fold")
    for row in bad:
        table.add_row(*map(escape, row))
    return table


def _validations(history: History) -> Table:
    """The best and the newest validation."""
    table = Table(title="held-out text", title_justify="left")
    metric = history.recipe.training.metric
    better = [look for look in history.looks if look.better]
    shown = {"best": better[-1]} if better else {}
    shown["newest"] = history.looks[-1]
    names = list(history.looks[-1].metrics)
    for column in ("", "step", *names):
        table.add_column(column, justify="right" if column else "left")
    for name, look in shown.items():
        figures = (f"{look.metrics[each]:.4g}" if each in look.metrics else "" for each in names)
        table.add_row(f"best {metric}" if name == "best" else name, f"{look.step:,}", *figures)
    return table


def _samples(history: History) -> Table:
    look = history.chosen_look
    assert look is not None
    table = Table(title=f"predictions at step {look.step:,}", title_justify="left")
    for column in ("source", "prediction", "reference"):
        table.add_column(column, overflow="fold")
    for sample in look.samples[:SAMPLES]:
        cut = "" if sample.finished else " (cut at the limit)"
        source, said, reference = map(shorten, (sample.source, sample.prediction, sample.reference))
        table.add_row(escape(source), escape(said + cut), escape(reference))
    return table
