"""Long texts cut into pieces, and pieces packed into rows."""

from bisect import bisect_left, insort
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Integer


class Pieces(NamedTuple):
    """Which predictions, from `start` up to `stop`, of which example each piece makes.

    Four bytes a number where that is enough, since there are as many as the text has examples.
    """

    examples: Integer[np.ndarray, " p"]
    starts: Integer[np.ndarray, " p"]
    stops: Integer[np.ndarray, " p"]

    def take(self, order: Integer[np.ndarray, " q"]) -> "Pieces":
        return Pieces(self.examples[order], self.starts[order], self.stops[order])

    def of(self, members: Integer[np.ndarray, " n"]) -> "Pieces":
        """The same pieces, of examples that have these numbers."""
        return self._replace(examples=narrow(members)[self.examples])


def cut(
    predictions: Integer[np.ndarray, " n"], room: int, first: Integer[np.ndarray, " n"] | None = None
) -> Pieces:
    """Pieces of at most `room` predictions that together make each prediction of each example once.

    An example with room is one piece, an example without predictions none. A longer one has a first piece of
    `first` (1 … room) predictions, then full ones, then the rest; without `first` the first is full too.
    """
    predictions = narrow(predictions)
    begin = predictions
    if len(predictions) and int(predictions.max()) > room:
        begin = np.where(predictions > room, room if first is None else first, predictions)
    counts = (predictions > 0) - (begin - predictions) // room
    owner = np.repeat(np.arange(len(predictions), dtype=_index_type(len(predictions))), counts)
    if len(owner) == len(predictions) and begin is predictions:
        return Pieces(owner, np.zeros_like(predictions), predictions)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    stops = narrow(begin[owner] + number * room)
    starts = np.where(number > 0, stops - room, 0).astype(stops.dtype)
    return Pieces(owner, starts, np.minimum(stops, predictions[owner]))


def narrow(numbers: Integer[np.ndarray, " n"]) -> Integer[np.ndarray, " n"]:
    """The same numbers, none below 0, in four bytes each where that is enough for them."""
    enough = not len(numbers) or int(numbers.max()) < 2**31
    return numbers.astype(np.int32 if enough else np.int64, copy=False)


def _index_type(count: int) -> type[np.int32] | type[np.int64]:
    return np.int32 if count < 2**31 else np.int64


def best_fit(widths: Integer[np.ndarray, " p"], capacity: int) -> Int64[np.ndarray, " p"]:
    """The row of each piece: the longest first, each into the fullest row that still has room for it.

    Pieces of one width are interchangeable, so whole classes of rows are filled at once: the work grows with
    the number of different widths, not of pieces. Earlier pieces of a width are taken first. A piece wider
    than the capacity gets a row of its own.
    """
    row_of = np.empty(len(widths), dtype=np.int64)
    order = np.argsort(-widths, kind="stable")
    values, at = np.unique(-widths[order], return_index=True)
    rows = _OpenRows(capacity)
    for width, pieces in zip((-values).tolist(), np.split(order, at[1:]), strict=True):
        if width > capacity:
            row_of[pieces] = rows.fresh(len(pieces))
            continue
        done = 0
        while done < len(pieces):
            space, taken = rows.fullest(width, len(pieces) - done)
            each = space // width
            filled = np.repeat(taken, each)[: len(pieces) - done]
            row_of[pieces[done : done + len(filled)]] = filled
            done += len(filled)
            in_last = len(filled) - (len(taken) - 1) * each
            rows.put(space - each * width, taken[:-1])
            rows.put(space - in_last * width, taken[-1:])
    return row_of


class _OpenRows:
    """The rows that still have space, by how much."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        self.spaces: list[int] = []
        self.by_space: dict[int, list[Int64[np.ndarray, " rows"]]] = {}

    def fresh(self, count: int) -> Int64[np.ndarray, " rows"]:
        self.count += count
        return np.arange(self.count - count, self.count)

    def fullest(self, width: int, pieces: int) -> tuple[int, Int64[np.ndarray, " rows"]]:
        """The least space in which the width fits, and rows with that space, no more than the pieces need."""
        at = bisect_left(self.spaces, width)
        if at == len(self.spaces):
            return self.capacity, self.fresh(-(-pieces // (self.capacity // width)))
        space = self.spaces[at]
        needed = -(-pieces // (space // width))
        stack = self.by_space[space]
        rows = stack.pop()
        if len(rows) > needed:
            stack.append(rows[needed:])
        if not stack:
            del self.by_space[space]
            del self.spaces[at]
        return space, rows[:needed]

    def put(self, space: int, rows: Int64[np.ndarray, " rows"]) -> None:
        if space == 0 or len(rows) == 0:
            return
        if space not in self.by_space:
            insort(self.spaces, space)
            self.by_space[space] = []
        self.by_space[space].append(rows)
