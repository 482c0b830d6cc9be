"""Pieces of text framed by special tokens, and laid side by side in the rows of a padded array."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, Integer

Marks = tuple[int | None, int]
"""What stands before a text, if anything, and what after it."""


class Framed(NamedTuple):
    """Pieces one after another, with what frames them."""

    ids: Int64[np.ndarray, " n"]
    widths: Int64[np.ndarray, " p"]
    text: Bool[np.ndarray, " n"]
    """True at the pieces' own ids, False at what frames them."""


def frame(
    pieces: Sequence[Integer[np.ndarray, "_"]],
    begins: Bool[np.ndarray, " p"],
    ends: Bool[np.ndarray, " p"],
    marks: Marks,
) -> Framed:
    """The pieces, those of `begins` after the first mark, if it is one, those of `ends` before the last."""
    begin, end = marks
    if begin is None:
        begins = np.zeros_like(begins)
    widths = _lengths(pieces) + begins + ends
    stops = np.cumsum(widths)
    first, last = (stops - widths)[begins], stops[ends] - 1
    text = np.ones(int(stops[-1]), dtype=np.bool_)
    text[first] = False
    text[last] = False
    ids = np.empty(len(text), dtype=np.int64)
    ids[text] = np.concatenate(pieces)
    ids[first] = end if begin is None else begin
    ids[last] = end
    return Framed(ids, widths, text)


class Places(NamedTuple):
    """Where each token of consecutive pieces stands in an array of rows padded on the right."""

    shape: tuple[int, int]
    flat: Int64[np.ndarray, " n"]
    """For each token, row · row length + column."""
    segments: Int64[np.ndarray, " n"]
    """For each token, the number of its piece in its row, from 1."""
    pieces: int

    @property
    def packed(self) -> bool:
        """Whether some row holds several pieces."""
        return self.pieces > self.shape[0]

    @property
    def padded(self) -> bool:
        return len(self.flat) < self.shape[0] * self.shape[1]

    def rows(self, values: Integer[np.ndarray, " n"], fill: int) -> Int64[np.ndarray, "B T"]:
        """The tokens' values at their places, `fill` elsewhere."""
        out = np.full(self.shape[0] * self.shape[1], fill, dtype=np.int64)
        out[self.flat] = values
        return out.reshape(self.shape)


def place(widths: Integer[np.ndarray, " p"], counts: Integer[np.ndarray, " B"]) -> Places:
    """The places of pieces of these widths, the next `counts[i]` ≥ 1 of them in row i."""
    first_piece = np.cumsum(counts) - counts
    starts = np.cumsum(widths) - widths
    length = int(np.add.reduceat(widths, first_piece).max())
    row = np.repeat(np.arange(len(counts)), counts)
    shift = row * length - starts[first_piece][row]
    flat = np.arange(int(widths.sum())) + np.repeat(shift, widths)
    segments = np.repeat(np.arange(len(widths)) - first_piece[row] + 1, widths)
    return Places((len(counts), length), flat, segments, len(widths))


def _lengths(pieces: Sequence[Integer[np.ndarray, "_"]]) -> Int64[np.ndarray, " p"]:
    return np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
