from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headway.data.epoch_plan import Planning, PoolPlan, runs_under_budget
from headway.data.packing import Pieces

WIDTHS = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=80)
SHUFFLES = st.sampled_from([None, (0, 0), (1, 5)])


def whole(widths: list[tuple[int, int]]) -> tuple[Pieces, np.ndarray, np.ndarray]:
    """A piece for each example, and the widths of both sides."""
    count = np.arange(len(widths))
    target, source = np.array(widths).T
    return Pieces(count, count * 0, target), target, source


def rows_of(plan: PoolPlan, number: int) -> list[list[int]]:
    starts = plan.row_starts
    return [plan.pieces.examples[starts[row] : starts[row + 1]].tolist() for row in plan.batch_rows(number)]


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 100))
def test_runs_keep_to_the_budget_and_are_as_long_as_it_allows(costs: list[int], budget: int) -> None:
    starts = runs_under_budget(np.array(costs, dtype=np.int64), budget).tolist()
    assert starts[0] == 0
    assert starts[-1] == len(costs)
    for a, b in pairwise(starts):
        assert b - a == 1 or (b - a) * max(costs[a:b]) <= budget
        assert b == len(costs) or (b + 1 - a) * max(costs[a : b + 1]) > budget


@given(WIDTHS, st.sampled_from([0, 32]), SHUFFLES)
def test_each_piece_stands_in_one_batch_that_keeps_to_the_budget(
    widths: list[tuple[int, int]], capacity: int, shuffle: tuple[int, int] | None
) -> None:
    plan = Planning(budget=100, capacity=capacity, shuffle=shuffle).plan(*whole(widths))
    batches = [rows_of(plan, number) for number in range(len(plan))]
    assert sorted(i for batch in batches for row in batch for i in row) == list(range(len(widths)))
    for batch in batches:
        longest = max(sum(widths[i][side] for i in row) for row in batch for side in (0, 1))
        assert len(batch) * longest <= 100
        assert longest <= max(capacity, 30)
        assert capacity or all(len(row) == 1 for row in batch)


@given(WIDTHS, st.sampled_from([0, 32]))
def test_without_shuffling_batches_go_from_short_to_long(
    widths: list[tuple[int, int]], capacity: int
) -> None:
    plan = Planning(budget=100, capacity=capacity, shuffle=None).plan(*whole(widths))
    lengths = [
        [
            (len(row) > 1, max(sum(widths[i][side] for i in row) for side in (0, 1)))
            for row in rows_of(plan, k)
        ]
        for k in range(len(plan))
    ]
    flat = [row for batch in lengths for row in batch]
    assert flat == sorted(flat)


def test_epochs_differ_in_their_batches_and_in_the_order_of_lengths() -> None:
    widths = [(n % 10 + 11, n % 10 + 11) for n in range(2000)]
    plans = [Planning(budget=200, capacity=0, shuffle=(0, epoch)).plan(*whole(widths)) for epoch in (0, 0, 1)]
    first, again, second = ([rows_of(plan, k) for k in range(len(plan))] for plan in plans)
    assert first == again
    companions = [
        {frozenset(i for row in batch for i in row) for batch in epoch} for epoch in (first, second)
    ]
    assert not companions[0] & companions[1]
    order = [[widths[batch[0][0]] for batch in epoch] for epoch in (first, second)]
    assert order[0] != sorted(order[0])
    assert order[0] != order[1]


def test_both_sides_of_pairs_are_of_like_length_in_a_batch() -> None:
    random = np.random.default_rng(0)
    widths = np.maximum(2, np.rint(random.normal(9, 3, (20_000, 2)))).astype(np.int64)
    pieces, target, source = whole([(int(t), int(s)) for t, s in widths])
    plan = Planning(budget=4096, capacity=0, shuffle=(0, 0)).plan(pieces, target, source)
    padded = 0
    for number in range(len(plan)):
        rows = np.array(rows_of(plan, number))[:, 0]
        padded += len(rows) * int(target[rows].max() + source[rows].max())
    assert 1 - widths.sum() / padded < 0.1
