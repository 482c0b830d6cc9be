"""Texts of more than one pool obey the laws of those of one, and a pool's plan is all that is in memory."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.batch import NO_LABEL, Batch
from headway.data import pools as pools_module
from headway.data.in_memory import InMemory
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import CausalObjective, MaskedObjective, Objective, PairsObjective
from headway.data.pools import Pools, divide
from headway.text.special import OURS

VOCABULARY = 60_000
OBJECTIVES: dict[str, Objective] = {
    "causal": CausalObjective(OURS),
    "masked": MaskedObjective(OURS, VOCABULARY),
    "pairs": PairsObjective(OURS, OURS),
}
each_objective = pytest.mark.parametrize("name", OBJECTIVES)
LENGTHS = np.random.default_rng(0).geometric(0.08, 260).tolist()


@pytest.fixture(autouse=True, scope="module")
def small_pools() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pools_module, "POOL_PIECES", 100)
        patched.setattr(pools_module, "BLOCK", 8)
        yield


def encoded(lengths: list[int], sources: list[int] | None = None) -> InMemory:
    """Texts in which every token is another."""

    def side(sizes: list[int]) -> list[np.ndarray]:
        stops = 5 + np.cumsum(sizes)
        return [np.arange(stop - size, stop) for size, stop in zip(sizes, stops, strict=True)]

    return InMemory(side(lengths), None if sources is None else side(sources))


def loader(name: str, rank: int = 0, world: int = 1, seed: int = 11) -> Loader:
    text = encoded(LENGTHS, LENGTHS[::-1] if name == "pairs" else None)
    config = BatchConfig(tokens=256, context=32)
    return Loader(text, OBJECTIVES[name], config, seed=seed, rank=rank, world=world)


def seen(batch: Batch) -> list[int]:
    """What stands in a batch, in its order; nothing where nothing is predicted."""
    if not bool((batch.labels != NO_LABEL).any()):
        return []
    sides = [batch.inputs.ids, batch.labels] + ([] if batch.source is None else [batch.source.ids])
    return [number for side in sides for number in side.flatten().tolist()]


def shown(batches: list[list[Batch]]) -> list[list[int]]:
    return [[number for batch in step for number in seen(batch)] for step in batches]


def all_of(pools: Pools) -> list[list[int]]:
    return [pools.members(number).tolist() for number in range(len(pools))]


@given(
    st.lists(st.integers(0, 50), max_size=300), st.sampled_from([None, 5]), st.sampled_from([None, (1, 2)])
)
def test_each_example_is_in_one_pool_and_none_is_large(
    lengths: list[int], room: int | None, shuffle: tuple[int, int] | None
) -> None:
    starts = np.cumsum([0, *lengths], dtype=np.int64)
    pools = all_of(divide(starts, room, shuffle))
    assert sorted(member for pool in pools for member in pool) == list(range(len(lengths)))
    for pool in pools:
        assert pool == sorted(pool) != []
        pieces = sum(1 + (lengths[member] // room if room else 0) for member in pool)
        assert pieces <= 100 + 8 * (1 + 50 // (room or 51))
    if shuffle is None:
        assert [member for pool in pools for member in pool] == list(range(len(lengths)))


def test_pools_are_about_equal_and_those_of_each_epoch_others() -> None:
    starts = np.arange(10_001, dtype=np.int64) * 3
    epochs = [all_of(divide(starts, None, (0, epoch))) for epoch in (0, 1)]
    for pools in epochs:
        assert len(pools) == 100
        assert max(map(len, pools)) - min(map(len, pools)) <= 8
    # One in a hundred blocks is in the pool of the same number by chance.
    same = sum(len(set(one) & set(other)) for one, other in zip(*epochs, strict=True))
    assert same < 500


def test_a_text_of_one_pool_is_planned_in_its_own_order() -> None:
    [members] = all_of(divide(np.arange(0, 74, dtype=np.int64), 100, (3, 4)))
    assert members == list(range(73))


@each_objective
def test_an_epoch_holds_every_token_once(name: str) -> None:
    own = loader(name)
    batches = [batch for step in own.epoch(1) for batch in step]
    assert len(batches) == own.batches(1) > 3
    found: Counter[int] = Counter()
    for batch in batches:
        whole = (
            batch.labels.where(batch.labels != NO_LABEL, batch.inputs.ids)
            if name == "masked"
            else batch.labels
        )
        found.update(token for token in whole.flatten().tolist() if token > 4)
    assert found == Counter(range(5, 5 + sum(LENGTHS)))


@each_objective
def test_batches_are_a_function_of_seed_epoch_and_number(name: str) -> None:
    whole = shown(list(loader(name).epoch(2)))
    for start in (1, len(whole) // 2, len(whole) - 1):
        assert shown(list(loader(name).epoch(2, start))) == whole[start:]
    assert list(loader(name).epoch(2, len(whole))) == []
    own = loader(name)
    running = own.epoch(2)
    assert shown([next(running)]) == whole[:1]
    assert shown(list(own.epoch(3))) != whole
    assert shown([next(running)]) == whole[1:2]
    assert shown(list(loader(name, seed=12).epoch(2))) != whole


@each_objective
def test_processes_share_the_batches_out(name: str) -> None:
    [single, *ranks] = [list(loader(name, rank, world).epoch(0)) for rank, world in ((0, 1), (0, 2), (1, 2))]
    assert len(single) == len(ranks[0]) == len(ranks[1])
    for step, (whole,) in enumerate(single):
        rows = [row for rank in ranks for batch in rank[step] if seen(batch) for row in labels_of(batch)]
        assert rows == labels_of(whole)


def labels_of(batch: Batch) -> list[list[int]]:
    return [[label for label in row if label != NO_LABEL] for row in batch.labels.tolist()]


@each_objective
def test_validation_gives_everything_once(name: str) -> None:
    once, again = ([seen(batch) for batch in loader(name).ordered()] for _ in range(2))
    assert once == again
    assert sum(map(len, once)) > sum(LENGTHS)


def test_lengths_do_not_come_in_the_same_order_in_each_pool() -> None:
    """Where pools have as many batches of the same lengths."""
    lengths = [n % 8 + 1 for n in range(8 * 100)]
    own = Loader(encoded(lengths, lengths), OBJECTIVES["pairs"], BatchConfig(tokens=64), seed=0)
    widths = [batch.labels.shape[1] for (batch,) in own.epoch(0)]
    pools = len(divide(own.text.starts, None, (0, 0)))
    each = len(widths) // pools
    orders = [widths[at : at + each] for at in range(0, len(widths), each)]
    assert pools == 8
    assert len({tuple(order) for order in orders}) > pools // 2


def test_a_pool_in_which_nothing_is_predicted_has_no_batches() -> None:
    lengths = [0] * 120 + [7] * 40
    own = Loader(encoded(lengths), OBJECTIVES["masked"], BatchConfig(tokens=64, context=32), seed=0)
    assert own.left_out == 120
    batches = [batch for step in own.epoch(0) for batch in step]
    assert sum(int((batch.inputs.ids > 4).sum()) for batch in batches) <= 7 * 40
    assert len(list(own.ordered())) > 0


def test_where_names_lines_of_any_pool() -> None:
    own = loader("causal")
    text = own.text
    owner = {int(token): line for line in range(1, len(text) + 1) for token in text.ids(line - 1)}
    for number, [batch] in enumerate(own.epoch(0)):
        lines = {owner[token] for token in seen(batch) if token in owner}
        told = own.where(0, number)
        assert all(f"{line:,}" in told for line in sorted(lines)[:20])
