"""What passes between data, models and training. Axes: B rows, T and S positions."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

NO_LABEL = -100
"""The label of a position that carries no loss."""


@dataclass(frozen=True)
class Tokens:
    """Token ids, and which document each belongs to: 0 is padding, 1, 2, … are documents packed in a row.

    Without segments every row is one document and nothing is padding that anything could see.
    """

    ids: Int[Tensor, "B T"]
    segments: Int[Tensor, "B T"] | None = None

    def rows(self, start: int, stop: int) -> "Tokens":
        """Some of the rows."""
        return Tokens(self.ids[start:stop], None if self.segments is None else self.segments[start:stop])

    def twice(self) -> "Tokens":
        """All rows, and then all rows again."""
        return Tokens(self.ids.repeat(2, 1), None if self.segments is None else self.segments.repeat(2, 1))

    def to(self, device: torch.device) -> "Tokens":
        segments = None if self.segments is None else self.segments.to(device, non_blocking=True)
        return Tokens(self.ids.to(device, non_blocking=True), segments)


@dataclass(frozen=True)
class Batch:
    """`labels` are to be predicted at the positions of `inputs`, perhaps seeing `source`."""

    inputs: Tokens
    labels: Int[Tensor, "B T"]
    source: Tokens | None = None

    def to(self, device: torch.device) -> "Batch":
        source = None if self.source is None else self.source.to(device)
        return Batch(self.inputs.to(device), self.labels.to(device, non_blocking=True), source)

    def without_labels(self) -> "Batch":
        """The same, with nothing to predict: its loss and gradient are zero."""
        return Batch(self.inputs, torch.full_like(self.labels, NO_LABEL), self.source)

    def twice(self) -> "Batch":
        """All rows, and then all rows again."""
        source = None if self.source is None else self.source.twice()
        return Batch(self.inputs.twice(), self.labels.repeat(2, 1), source)

    def split(self, parts: int) -> list["Batch"]:
        """The same rows in at most so many batches of like size."""
        if parts == 1:
            return [self]
        size = -(-len(self.labels) // parts)
        return [
            Batch(
                self.inputs.rows(start, start + size),
                self.labels[start : start + size],
                None if self.source is None else self.source.rows(start, start + size),
            )
            for start in range(0, len(self.labels), size)
        ]
