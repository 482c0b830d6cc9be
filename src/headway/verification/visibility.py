"""Who sees what: not the future, not other documents, but both sides of a blank and the source."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch

from headway.batch import Tokens
from headway.verification.law import Law
from headway.verification.subject import Row, Subject, evenly, largest

CUTS = 8
"""Places of a text after which everything is changed."""


def no_future_leak(subject: Subject) -> Law:
    """A decoder's log-probabilities do not depend on what comes after."""
    differences, places = [], 0
    for row in subject.rows:
        cuts = evenly(0 if subject.before else 1, len(row.ids) - 1, CUTS)
        changed = [replace(row, ids=[*row.ids[:cut], *subject.others(row.ids[cut:])]) for cut in cuts]
        whole, *others = subject.log_probs([row, *changed])
        for cut, other in zip(cuts, others, strict=True):
            end = subject.before + cut
            differences.append(other[:end] - whole[:end])
            places += end
    return equality(
        "no future leak",
        f"every later token changed, at {places:,} places",
        largest(differences),
        subject.tolerance,
        places=places,
    )


def documents_apart(subject: Subject) -> Law:
    """Documents packed into a row get the log-probabilities that each gets alone."""
    rows = [_half_a_table(subject, row) for row in subject.rows]
    rows.append(_changed(subject, rows[0]))
    alone = subject.alone(rows)
    differences = []
    for place in range(len(rows) - 1):
        together = _packed(subject, rows[place : place + 2])
        differences += [mine - own for mine, own in zip(together, alone[place:], strict=False)]
    return equality(
        "packed documents apart",
        f"{len(rows) - 1} rows of two documents against each alone",
        largest(differences),
        subject.tolerance,
        rows=len(rows) - 1,
    )


def both_sides_seen(subject: Subject) -> Law:
    """What an encoder predicts at a blank depends on what is before it and on what is after it."""
    before, after = [], []
    for row in subject.rows:
        middle = len(row.ids) // 2
        mask = row.ids[middle] if subject.special.mask is None else subject.special.mask
        left, right = row.ids[:middle], row.ids[middle + 1 :]
        changed = [[*left, mask, *right]]
        changed.append([*subject.others(left), mask, *right])
        changed.append([*left, mask, *subject.others(right)])
        whole, *found = (
            each[subject.before + middle] for each in subject.log_probs([Row(ids) for ids in changed])
        )
        before.append(largest([found[0] - whole]))
        after.append(largest([found[1] - whole]))
    sides = {"left": median(before), "right": median(after)}
    return Law(
        name="both sides seen",
        holds=min(sides.values()) > subject.tolerance,
        found=f"other text before a blank moves a log-probability there by {sides['left']:.2g}, after it by "
        f"{sides['right']:.2g} (medians of {len(before)}; more than {subject.tolerance:.2g} is asked)",
        figures={**sides, "blanks": len(before), "tolerance": subject.tolerance},
    )


def source_seen(subject: Subject) -> Law:
    """What an encoder-decoder predicts depends on its source."""
    moved = []
    for row in subject.rows:
        other = replace(row, source=_changed(subject, row).source)
        whole, found = subject.log_probs([row, other])
        moved.append(largest([found - whole]))
    change = median(moved)
    return Law(
        name="source seen",
        holds=change > subject.tolerance,
        found=f"another source moves a log-probability by {change:.2g} (median of {len(moved)}; more than "
        f"{subject.tolerance:.2g} is asked)",
        figures={"change": change, "sources": len(moved), "tolerance": subject.tolerance},
    )


def equality(name: str, what: str, difference: float, tolerance: float, **figures: int) -> Law:
    """A law that two ways to compute give the same but for rounding."""
    return Law(
        name=name,
        holds=difference <= tolerance,  # NaN does not hold
        found=f"{what}: largest |Δ log p| {difference:.2g} (at most {tolerance:.2g} is accepted)",
        figures={"difference": difference, "tolerance": tolerance, **figures},
    )


def _changed(subject: Subject, row: Row) -> Row:
    """A row of other tokens."""
    source = None if row.source is None else subject.other_sources(row.source)
    return Row(subject.others(row.ids), source)


def _half_a_table(subject: Subject, row: Row) -> Row:
    """The row, or as much of it as fits twice into learned positions."""
    tables = subject.ensemble.target_room
    return row.cut(tables // 2 - len(subject.framed([])), tables // 2 - 2) if tables else row


def _packed(subject: Subject, rows: Sequence[Row]) -> list[torch.Tensor]:
    """The log-probabilities of each of the rows, which are documents of one."""
    framed = [subject.framed(row.ids) for row in rows]
    source = None
    if subject.source is not None:
        source = _row_of([subject.source.special.source(row.source or []) for row in rows], subject)
    starts = [sum(map(len, framed[:i])) for i in range(len(framed))]
    places = [(0, start, start + len(ids)) for start, ids in zip(starts, framed, strict=True)]
    return subject.read(_row_of(framed, subject), source, places)


def _row_of(documents: Sequence[Sequence[int]], subject: Subject) -> Tokens:
    device = subject.ensemble.device
    segments = [number for number, ids in enumerate(documents, start=1) for _ in ids]
    ids = [token for each in documents for token in each]
    return Tokens(torch.tensor([ids], device=device), torch.tensor([segments], device=device))
