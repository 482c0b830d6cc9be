"""Which pieces of text stand in which row of which batch of an epoch: numbers only, no text."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Integer

from headway.data.keyed_random import Draw, keyed_order
from headway.data.packing import Pieces, best_fit, narrow


@dataclass(frozen=True)
class PoolPlan:
    """Pieces in the order of their rows, rows in the order of their length, batches as runs of rows."""

    pieces: Pieces
    row_starts: Integer[np.ndarray, " row_bounds"]
    """Row r holds the pieces from `row_starts[r]` up to `row_starts[r + 1]`."""
    batch_starts: Int64[np.ndarray, " batch_bounds"]
    """Run b holds the rows from `batch_starts[b]` up to `batch_starts[b + 1]`."""
    batch_order: Integer[np.ndarray, " K"]
    """The run that is batch 0, 1, …"""

    def __len__(self) -> int:
        return len(self.batch_order)

    def batch_rows(self, number: int) -> range:
        run = int(self.batch_order[number])
        return range(int(self.batch_starts[run]), int(self.batch_starts[run + 1]))


class EpochPlan:
    """The batches of an epoch, pool after pool; one pool's plan is in memory, others are made anew."""

    def __init__(self, pools: int, make: Callable[[int], PoolPlan]) -> None:
        """Makes each plan once, to count its batches."""
        self._make = make
        self._firsts = [0]
        """The batch that each pool begins with, and how many there are."""
        self._pool = -1
        self._plan: PoolPlan | None = None
        for pool in range(pools):
            self._firsts.append(self._firsts[-1] + len(self._planned(pool)))

    def __len__(self) -> int:
        return self._firsts[-1]

    def find(self, number: int) -> tuple[PoolPlan, range]:
        """The plan that holds a batch, and its rows in it."""
        pool = bisect_right(self._firsts, number) - 1
        plan = self._planned(pool)
        return plan, plan.batch_rows(number - self._firsts[pool])

    def _planned(self, pool: int) -> PoolPlan:
        if self._plan is None or self._pool != pool:
            self._plan = None  # two of them need not be in memory at once
            self._pool, self._plan = pool, self._make(pool)
        return self._plan


@dataclass(frozen=True, kw_only=True)
class Planning:
    """How pieces become batches.

    budget: rows times widest row of a batch, at most, on either side. capacity: the width of packed rows,
    0 for a row per piece. shuffle: the key (seed, epoch) of all random orders, or None for batches from the
    shortest to the longest. pool: which part of the text this is, for orders of its own.
    """

    budget: int
    capacity: int
    shuffle: tuple[int, int] | None
    pool: int = 0

    def plan(self, pieces: Pieces, *widths: Integer[np.ndarray, " p"]) -> PoolPlan:
        """Batches of rows of like length; `widths` are those of the target and perhaps of the source."""
        widths = tuple(narrow(side) for side in widths)
        if self.shuffle is not None:
            order = narrow(self._shuffled(Draw.EXAMPLE_ORDER, len(pieces.examples)))
            pieces, widths = pieces.take(order), tuple(side[order] for side in widths)
        counts = None
        if self.capacity and len(pieces.examples):
            row_of = narrow(best_fit(_widest(widths), self.capacity))
            order = narrow(np.argsort(row_of, kind="stable"))
            counts = np.bincount(row_of)
            firsts = np.cumsum(counts) - counts
            pieces = pieces.take(order)
            widths = tuple(np.add.reduceat(side[order], firsts) for side in widths)

        by_length = _by_length(widths, counts)
        costs = _widest(widths)[by_length]
        if counts is None:
            pieces, row_starts = pieces.take(by_length), narrow(np.arange(len(costs) + 1))
        else:
            firsts, counts = (np.cumsum(counts) - counts)[by_length], counts[by_length]
            row_starts = narrow(np.concatenate(([0], np.cumsum(counts))))
            within = np.arange(row_starts[-1]) - np.repeat(row_starts[:-1], counts)
            pieces = pieces.take(np.repeat(firsts, counts) + within)
        batch_starts = runs_under_budget(costs, self.budget)
        batches = len(batch_starts) - 1
        order = np.arange(batches) if self.shuffle is None else self._shuffled(Draw.BATCH_ORDER, batches)
        return PoolPlan(pieces, row_starts, batch_starts, order)

    def _shuffled(self, draw: Draw, count: int) -> Integer[np.ndarray, " n"]:
        assert self.shuffle is not None, "these batches go by length"
        return keyed_order(*self.shuffle, draw, count, self.pool)


def runs_under_budget(costs: Integer[np.ndarray, " n"], budget: int) -> Int64[np.ndarray, " bounds"]:
    """Where runs of items begin (and the last one ends), each as long as items · dearest ≤ budget allows.

    An item dearer than the budget is a run of its own.
    """
    starts = [0]
    while starts[-1] < len(costs):
        start = starts[-1]
        window = costs[start : start + max(budget // int(costs[start]), 1)]
        totals = np.maximum.accumulate(window) * np.arange(1, len(window) + 1)
        starts.append(start + max(int(np.searchsorted(totals, budget, side="right")), 1))
    return np.array(starts, dtype=np.int64)


def _widest(widths: tuple[Integer[np.ndarray, " n"], ...]) -> Integer[np.ndarray, " n"]:
    return widths[0] if len(widths) == 1 else np.maximum(*widths)


def _by_length(
    widths: tuple[Integer[np.ndarray, " n"], ...], counts: Int64[np.ndarray, " n"] | None
) -> Integer[np.ndarray, " n"]:
    """An order in which neighbours have like widths; equals stay in the order they come in.

    Rows of one piece stand before packed ones, for their batches need no segments. Then the longer side
    decides, which is what the budget counts. Among equals the target's lead over the source runs upwards,
    and downwards among the next, so that no step between neighbours is large on the shorter side either.
    """
    key = _widest(widths).astype(np.int64)
    if not len(key):
        return key
    if counts is not None:
        key = key + (counts > 1) * (key.max() + 1)
    if len(widths) == 2:
        lead = widths[0] - widths[1]
        up, down = lead - lead.min(), lead.max() - lead
        key = key * (up.max() + 1) + np.where(key % 2, up, down)
    # A narrow type sorts in linear time.
    return narrow(np.argsort(key.astype(np.min_scalar_type(int(key.max()))), kind="stable"))
