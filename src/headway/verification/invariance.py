"""A text gets the same whatever else is in its batch, and in one pass the same as step after step."""

from collections.abc import Sequence

import torch

from headway.decoding.fill_mask import Filler
from headway.decoding.hypothesis import Hypothesis
from headway.decoding.settings import SearchConfig
from headway.verification.law import Law
from headway.verification.subject import Row, Subject, largest
from headway.verification.visibility import equality

TOGETHER = 4
"""Texts in a batch, each with its first half beside it."""

ALONE = 1
"""A budget of tokens in which every text is a batch of its own."""

Chosen = list[tuple[int, float]]
"""The tokens of an output with their log-probabilities."""


def padding_and_batch(subject: Subject) -> Law:
    """A text alone, beside longer ones, and in another order: the same but for rounding."""
    differences = []
    for start in range(0, len(subject.rows), TOGETHER):
        whole = subject.rows[start : start + TOGETHER]
        rows = [*whole, *(row.half for row in whole)]
        alone = subject.alone(rows)
        for found in (subject.log_probs(rows), subject.log_probs(rows[::-1])[::-1]):
            differences += [mine - own for mine, own in zip(found, alone, strict=True)]
    return equality(
        "padding and batch invisible",
        f"{2 * len(subject.rows)} rows alone, padded, and in another order",
        largest(differences),
        subject.tolerance,
        rows=2 * len(subject.rows),
    )


def same_output(subject: Subject) -> Law:
    """What is written, or filled in, is the same in any batch; of equally likely tokens either will do."""
    texts = subject.prompts
    alone = _outputs(subject, texts, ALONE)
    together = _outputs(subject, texts, SearchConfig().batch_tokens)
    turned = _outputs(subject, texts[::-1], SearchConfig().batch_tokens)[::-1]
    same = [
        all(_same(own, other, subject.tolerance) for other in others)
        for own, *others in zip(alone, together, turned, strict=True)
    ]
    what = "blanks filled" if subject.architecture == "encoder" else "greedy outputs"
    return Law(
        name="same output in any batch",
        holds=all(same),
        found=f"{sum(same)} of {len(same)} {what} the same alone, together, and in another order",
        figures={"same": sum(same), "texts": len(same)},
    )


def cached_as_uncached(subject: Subject) -> Law:
    """Token after token, keys and values kept, a decoder gives what it gives in one pass."""
    differences, steps = [], 0
    for start in range(0, len(subject.rows), TOGETHER):
        rows = subject.rows[start : start + TOGETHER]
        rows = [*rows, *(row.half for row in rows)]
        for own, mine in zip(subject.log_probs(rows), _stepwise(subject, rows), strict=True):
            differences.append(mine - own[len(own) - len(mine) :])
            steps += len(mine)
    return equality(
        "cached as uncached",
        f"{steps:,} steps with kept keys and values against one pass",
        largest(differences),
        subject.tolerance,
        steps=steps,
    )


def _stepwise(subject: Subject, rows: Sequence[Row]) -> list[torch.Tensor]:
    """Log-probabilities after the start of each row and after every token behind it, as a search has them.

    Starts have several lengths, so that rows stand at different places; a row that has ended leaves.
    """
    first = 0 if subject.before else 1
    starts = [min(len(row.ids), first + i % 3) for i, row in enumerate(rows)]
    found: list[list[torch.Tensor]] = [[] for _ in rows]
    sources = [row.source for row in rows if row.source is not None]
    with subject.ensemble.evaluating():
        begun = [row.ids[:start] for row, start in zip(rows, starts, strict=True)]
        steps, log_probs = subject.ensemble.begin(sources or None, begun, 1)
        going = list(range(len(rows)))
        while True:
            for place, i in enumerate(going):
                found[i].append(log_probs[place].cpu())
            read = {i: starts[i] + len(found[i]) - 1 for i in going}
            stay = [place for place, i in enumerate(going) if read[i] < len(rows[i].ids)]
            if not stay:
                return [torch.stack(each) for each in found]
            if len(stay) < len(going):
                going = [going[place] for place in stay]
                steps.keep(torch.tensor(stay, device=log_probs.device))
            newest = [rows[i].ids[read[i]] for i in going]
            log_probs = steps.step(torch.tensor(newest, device=log_probs.device))


def _outputs(subject: Subject, texts: Sequence[str], batch_tokens: int) -> list[Chosen]:
    if subject.architecture != "encoder":
        greedy = SearchConfig(method="greedy", batch_tokens=batch_tokens)
        return [_chosen(each, subject.special.end) for each in subject.search(texts, greedy)]
    filled = Filler(subject.ensemble, batch_tokens).fill(texts, candidates=1)
    return [[(blank[0].id, blank[0].log_prob) for blank in each.blanks] for each in filled]


def _chosen(found: Hypothesis, end: int) -> Chosen:
    ids = [*found.ids, end] if found.finished else found.ids
    return list(zip(ids, found.log_probs, strict=False))


def _same(ours: Chosen, theirs: Chosen, tolerance: float) -> bool:
    """Whether two outputs are the same up to where one had two equally likely tokens to choose from."""
    for (token, log_prob), (other, other_log_prob) in zip(ours, theirs, strict=False):
        if token != other:
            return abs(log_prob - other_log_prob) <= tolerance
    return len(ours) == len(theirs)
