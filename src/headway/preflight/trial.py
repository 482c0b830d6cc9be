"""What a run is about to begin with, and a few real rows to compute on. Axes: B rows, T positions."""

from collections.abc import Sequence
from dataclasses import dataclass

from headway.batch import NO_LABEL, Batch, Tokens
from headway.data.prepare import Prepared
from headway.model.architectures import Transformer
from headway.recipe import Recipe
from headway.runtime import Precision
from headway.verification.subject import evenly

ROWS, WIDTH = 4, 64
"""Rows that are computed with, spread evenly over a batch, and so many positions of each."""


@dataclass(frozen=True)
class Start:
    """A run before its first step."""

    recipe: Recipe
    """With the sizes of the vocabularies as they are."""
    prepared: Prepared
    model: Transformer | None
    """None where no process holds a whole one."""
    batches: Sequence[Batch]
    """The first step's, in the parts that are computed one after the other."""
    precision: Precision
    rate: float
    """The highest learning rate."""


@dataclass(frozen=True)
class Trial:
    """A model with some rows of the first batch; no check changes it."""

    start: Start
    model: Transformer
    batch: Batch
    """Rows of the first step, on the model's device."""
    labels: int
    """Of all rows of the first step."""

    @property
    def recipe(self) -> Recipe:
        return self.start.recipe

    @property
    def pad(self) -> int:
        """The id of padding on the side that an encoder reads."""
        source, target = self.start.prepared.tokenizers
        return (source or target).special.pad


def trial_of(start: Start, model: Transformer) -> Trial:
    """The trial of a model as it is, on those rows that have the most labels."""
    counts = [int((batch.labels != NO_LABEL).sum()) for batch in start.batches]
    whole = start.batches[counts.index(max(counts))]
    batch = few_rows(whole).to(next(model.parameters()).device)
    return Trial(start, model, batch, sum(counts))


def few_rows(batch: Batch) -> Batch:
    """Some of the rows, cut to a width where that leaves a label."""
    rows = evenly(0, len(batch.labels) - 1, ROWS)
    width = WIDTH if bool((batch.labels[rows, :WIDTH] != NO_LABEL).any()) else None

    def of(tokens: Tokens) -> Tokens:
        segments = None if tokens.segments is None else tokens.segments[rows, :width]
        return Tokens(tokens.ids[rows, :width], segments)

    source = None if batch.source is None else of(batch.source)
    return Batch(of(batch.inputs), batch.labels[rows, :width], source)
