from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.batch import NO_LABEL, Batch
from headway.data.in_memory import InMemory
from headway.data.loader import BatchConfig, EncodedText, Loader
from headway.data.objectives import CausalObjective, MaskedObjective, Objective, PairsObjective
from headway.errors import DataError, RecipeError
from headway.text.special import OURS
from headway.text.tokenizer import BEGIN, END, PAD

VOCABULARY = 60_000


def encoded(lengths: list[int], sources: list[int] | None = None) -> InMemory:
    """Texts of these lengths in which, up to 59,995 tokens, every token is another."""

    def side(sizes: list[int]) -> list[np.ndarray]:
        stops = np.cumsum(sizes)
        return [
            5 + np.arange(stop - size, stop) % (VOCABULARY - 5)
            for size, stop in zip(sizes, stops, strict=True)
        ]

    return InMemory(side(lengths), None if sources is None else side(sources))


def realistic(count: int, mean: float = 8, deviation: float = 3, seed: int = 0) -> list[int]:
    drawn = np.random.default_rng(seed).normal(mean, deviation, count)
    return np.maximum(1, np.rint(drawn)).astype(int).tolist()


def rows(batch: Batch) -> list[tuple[tuple[int, ...], ...]]:
    """Each row's inputs, labels and source without its padding."""
    real = batch.inputs.ids != PAD
    sources = (
        [()] * len(real) if batch.source is None else [tuple(s[s != PAD].tolist()) for s in batch.source.ids]
    )
    return [
        (tuple(ids[here].tolist()), tuple(labels[here].tolist()), source)
        for ids, labels, here, source in zip(batch.inputs.ids, batch.labels, real, sources, strict=True)
    ]


def rows_learned(batch: Batch) -> list[tuple[tuple[int, ...], ...]]:
    """As `rows`; none where nothing is predicted, as in a batch that only fills a process's place."""
    return rows(batch) if bool((batch.labels != NO_LABEL).any()) else []


def padded_side(batch: Batch) -> int:
    return max(batch.inputs.ids.numel(), 0 if batch.source is None else batch.source.ids.numel())


def same(one: list[Batch], other: list[Batch]) -> bool:
    def tensors(batch: Batch) -> list[torch.Tensor | None]:
        source = (None, None) if batch.source is None else (batch.source.ids, batch.source.segments)
        return [batch.inputs.ids, batch.inputs.segments, batch.labels, *source]

    pairs = [
        pair for a, b in zip(one, other, strict=True) for pair in zip(tensors(a), tensors(b), strict=True)
    ]
    return all(a is b if a is None or b is None else torch.equal(a, b) for a, b in pairs)


OBJECTIVES: dict[str, Objective] = {
    "causal": CausalObjective(OURS),
    "masked": MaskedObjective(OURS, VOCABULARY),
    "pairs": PairsObjective(OURS, OURS),
}
each_objective = pytest.mark.parametrize("name", OBJECTIVES)
CONFIG = BatchConfig(tokens=128, context=32)
LENGTHS = realistic(150, 14, 12)


def loader(name: str, config: BatchConfig = CONFIG, rank: int = 0, world: int = 1) -> Loader:
    text = encoded(LENGTHS, LENGTHS[::-1] if name == "pairs" else None)
    return Loader(text, OBJECTIVES[name], config, seed=11, rank=rank, world=world)


def test_the_test_text_is_random_access_text() -> None:
    assert isinstance(encoded([1, 2]), EncodedText)


# ---------------------------------------------------------------- every token once


@settings(max_examples=20)
@given(
    st.lists(st.integers(0, 90), min_size=1, max_size=30), st.sampled_from([None, False]), st.integers(0, 3)
)
def test_an_epoch_predicts_every_token_of_every_text_once(
    lengths: list[int], packing: bool | None, epoch: int
) -> None:
    text = encoded(lengths)
    own = Loader(text, CausalObjective(OURS), BatchConfig(tokens=64, context=16, packing=packing), seed=1)
    batches = [batch for step in own.epoch(epoch) for batch in step]
    predicted = Counter(int(label) for batch in batches for label in batch.labels.flatten())
    predicted.pop(NO_LABEL, None)
    expected = Counter(int(token) for ids in text.targets for token in ids)
    expected[END] = len(lengths)
    assert predicted == expected
    assert all(padded_side(batch) <= 64 and batch.labels.shape[1] <= 16 for batch in batches)
    assert len(batches) == own.batches(epoch)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 90), min_size=1, max_size=30).filter(any), st.sampled_from([None, False]))
def test_an_epoch_shows_every_token_to_a_masked_model_once(lengths: list[int], packing: bool | None) -> None:
    text = encoded(lengths)
    config = BatchConfig(tokens=64, context=16, packing=packing)
    own = Loader(text, MaskedObjective(OURS, VOCABULARY), config, seed=1)
    assert own.left_out == lengths.count(0)
    batches = [batch for step in own.epoch(0) for batch in step]
    whole = [torch.where(batch.labels == NO_LABEL, batch.inputs.ids, batch.labels) for batch in batches]
    shown = Counter(int(token) for ids in whole for token in ids.flatten() if token > END)
    assert shown == Counter(int(token) for ids in text.targets for token in ids)
    assert all((batch.labels != NO_LABEL).any(dim=1).all() for batch in batches)
    assert all(padded_side(batch) <= 64 and batch.labels.shape[1] <= 16 for batch in batches)


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=40),
    st.sampled_from([None, True]),
)
def test_an_epoch_holds_every_pair_once(lengths: list[tuple[int, int]], packing: bool | None) -> None:
    text = encoded([target for target, _ in lengths], [source for _, source in lengths])
    own = Loader(
        text, PairsObjective(OURS, OURS), BatchConfig(tokens=32, context=16, packing=packing), seed=1
    )
    batches = [batch for step in own.epoch(0) for batch in step]
    found: list[tuple[int, ...]] = []
    for batch in batches:
        assert batch.source is not None
        assert padded_side(batch) <= 32 or len(batch.labels) == 1
        for inputs, labels, source in rows(batch):
            assert inputs[0] == BEGIN
            assert labels.count(END) == source.count(END)
            assert packing or labels.count(END) == 1
            found += [source, labels]
    assert text.sources is not None
    for side, kept in ((text.sources, found[::2]), (text.targets, found[1::2])):
        ends = Counter(token for row in kept for token in row)
        expected = Counter(int(token) for ids in side for token in ids)
        expected[END] = len(lengths)
        assert ends == expected


def test_packed_and_separate_pairs_are_the_same_pairs() -> None:
    def pairs(packing: bool) -> Counter[tuple[tuple[int, ...], ...]]:
        found: Counter[tuple[tuple[int, ...], ...]] = Counter()
        for (batch,) in loader("pairs", BatchConfig(tokens=128, context=64, packing=packing)).epoch(0):
            assert batch.source is not None
            here, there = batch.inputs.segments, batch.source.segments
            here = (batch.labels != NO_LABEL).long() if here is None else here
            there = (batch.source.ids != PAD).long() if there is None else there
            for row in range(len(here)):
                for segment in range(1, int(here[row].max()) + 1):
                    source = batch.source.ids[row][there[row] == segment].tolist()
                    found[tuple(source), tuple(batch.labels[row][here[row] == segment].tolist())] += 1
        return found

    assert pairs(True) == pairs(False)


def test_a_document_of_a_million_tokens_is_cut_into_full_rows() -> None:
    own = Loader(encoded([1_000_000]), CausalObjective(OURS), BatchConfig(), seed=0)
    predicted, positions = 0, 0
    for (batch,) in own.epoch(0):
        predicted += int((batch.labels != NO_LABEL).sum())
        positions += batch.labels.numel()
    assert predicted == 1_000_001
    assert predicted / positions > 0.99


def test_pieces_of_a_document_go_on_where_the_one_before_stops() -> None:
    text = encoded([500])
    own = Loader(text, CausalObjective(OURS), BatchConfig(tokens=64, context=32, packing=False), seed=0)
    pieces = [row for (batch,) in own.epoch(0) for row in rows(batch)]
    follows = {inputs[0]: (inputs, labels) for inputs, labels, _ in pieces}
    token, said = BEGIN, []
    while token != END:
        inputs, labels = follows.pop(token)
        assert list(inputs[1:]) == list(labels[:-1])
        said += labels
        token = labels[-1]
    assert not follows
    assert said == [*text.targets[0], END]


def test_borders_of_pieces_move_from_epoch_to_epoch() -> None:
    own = Loader(encoded([5000] * 3), CausalObjective(OURS), BatchConfig(tokens=256, context=64), seed=0)

    def firsts(epoch: int) -> set[int]:
        return {row[0][0] for step in own.epoch(epoch) for batch in step for row in rows(batch)} - {BEGIN}

    assert firsts(0) == firsts(0)
    assert len(firsts(0) & firsts(1)) < 0.1 * len(firsts(0))


# ---------------------------------------------------------------- pure functions


@each_objective
@pytest.mark.parametrize(("world", "accumulate"), [(2, 1), (1, 3), (3, 2)])
def test_a_global_batch_is_the_union_of_all_shares(name: str, world: int, accumulate: int) -> None:
    single = list(loader(name).epoch(2))
    config = BatchConfig(tokens=128, context=32, accumulate=accumulate)
    ranks = [loader(name, config, rank, world) for rank in range(world)]
    shares = [list(rank.epoch(2)) for rank in ranks]
    assert {rank.batches(2) for rank in ranks} == {len(single)}
    for step, (whole,) in enumerate(single):
        parts = [share[step] for share in shares]
        assert all(len(part) <= accumulate for part in parts)
        assert [row for part in parts for batch in part for row in rows_learned(batch)] == rows(whole)
        sizes = [sum(len(rows_learned(batch)) for batch in part) for part in parts]
        assert max(sizes) - min(sizes) <= 1


@each_objective
@pytest.mark.parametrize("start", [0, 1, 7])
def test_resuming_gives_exactly_what_follows(name: str, start: int) -> None:
    whole = list(loader(name).epoch(3))
    rest = list(loader(name).epoch(3, start))
    assert len(rest) == len(whole) - start > 0
    assert all(same(a, b) for a, b in zip(rest, whole[start:], strict=True))
    assert list(loader(name).epoch(3, len(whole))) == []


@each_objective
def test_epochs_and_seeds_differ(name: str) -> None:
    text = loader(name).text
    orders = [
        [
            rows(batch)
            for step in Loader(text, OBJECTIVES[name], CONFIG, seed=seed).epoch(epoch)
            for batch in step
        ]
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]


@each_objective
def test_asking_for_other_epochs_between_changes_nothing(name: str) -> None:
    own = loader(name)
    first = next(own.epoch(1))
    running = own.epoch(0)
    next(running)
    own.batches(5)
    assert same(first, next(own.epoch(1)))
    assert same(next(running), list(loader(name).epoch(0))[1])


def test_masks_stay_the_same_however_batches_are_formed() -> None:
    lengths = realistic(100, 12, 4)

    def shown(config: BatchConfig) -> set[tuple[tuple[int, ...], ...]]:
        own = Loader(encoded(lengths), MaskedObjective(OURS, VOCABULARY), config, seed=5)
        return {row for step in own.epoch(1) for batch in step for row in rows(batch)}

    small = shown(BatchConfig(tokens=64, context=32, packing=False))
    assert len(small) == 100
    assert small == shown(BatchConfig(tokens=999, context=64, packing=False, accumulate=2))


def test_the_progress_of_a_step_reaches_the_masks() -> None:
    objective = MaskedObjective(OURS, VOCABULARY, rate=0.9, rate_end=0.1)
    own = Loader(encoded([30] * 200), objective, BatchConfig(tokens=640, context=32), seed=0)

    def shares(batches: list[list[Batch]]) -> list[float]:
        return [(step[0].labels != NO_LABEL).float().mean().item() for step in batches]

    count = own.batches(0)
    falling = shares(list(own.epoch(0, progress=lambda step: step / (count - 1))))
    assert falling[0] == pytest.approx(0.9 * 30 / 32, abs=0.05)
    assert falling[-1] == pytest.approx(0.1 * 30 / 32, abs=0.05)
    later = shares(list(own.epoch(0, 4, progress=lambda step: step / (count - 1))))
    assert later == falling[4:]
    assert min(shares(list(own.epoch(0)))) > 0.75
    validation = [(batch.labels != NO_LABEL).float().mean().item() for batch in own.ordered()]
    assert max(validation) < 0.2, "validation stands at the end of the schedule"


# ---------------------------------------------------------------- validation


@each_objective
def test_validation_gives_everything_once_and_always_alike(name: str) -> None:
    once, again = (list(loader(name).ordered()) for _ in range(2))
    assert same(once, again)
    labels = sum(int((batch.labels != NO_LABEL).sum()) for batch in once)
    if name != "masked":
        assert labels == sum(LENGTHS) + len(LENGTHS)
    ranks = [list(loader(name, rank=rank, world=3).ordered()) for rank in range(3)]
    united = Counter(row for own in ranks for batch in own for row in rows_learned(batch))
    assert united == Counter(row for batch in once for row in rows(batch))


def test_validation_goes_by_length() -> None:
    lengths = [batch.labels.shape[1] for batch in loader("pairs", BatchConfig(tokens=64)).ordered()]
    sides = [
        padded_side(batch) // len(batch.labels) for batch in loader("pairs", BatchConfig(tokens=64)).ordered()
    ]
    assert sides == sorted(sides)
    assert len(lengths) > 3


# ---------------------------------------------------------------- thrift


def test_little_is_padding_on_realistic_lengths() -> None:
    targets = realistic(20_000)
    text = encoded(targets, [max(1, n + d) for n, d in zip(targets, realistic(20_000, 0, 2, 1), strict=True)])
    real, positions = 0, 0
    for (batch,) in Loader(text, PairsObjective(OURS, OURS), BatchConfig(), seed=0).epoch(0):
        assert batch.source is not None
        for ids in (batch.inputs.ids, batch.source.ids):
            real += int((ids != PAD).sum())
            positions += ids.numel()
    assert 1 - real / positions < 0.1


@pytest.mark.parametrize("name", ["causal", "masked"])
def test_packed_rows_are_filled(name: str) -> None:
    lengths = np.random.default_rng(0).lognormal(4, 1.2, 1500).astype(int).tolist()
    own = Loader(encoded(lengths), OBJECTIVES[name], BatchConfig(tokens=2048, context=128), seed=0)
    real, capacity = 0, 0
    for (batch,) in own.epoch(0):
        real += int((batch.inputs.ids != PAD).sum())
        capacity += len(batch.labels) * 128
    assert real / capacity > 0.95


def test_batches_of_whole_rows_need_no_segments() -> None:
    own = Loader(
        encoded([1000] * 5 + [3] * 50), CausalObjective(OURS), BatchConfig(tokens=128, context=32), seed=0
    )
    batches = [batch for step in own.epoch(0) for batch in step]
    without = sum(batch.inputs.segments is None for batch in batches)
    assert without / len(batches) > 0.9
    assert without < len(batches)


# ---------------------------------------------------------------- what cannot be


def test_an_overlong_pair_is_a_batch_alone() -> None:
    own = Loader(encoded([3, 200, 4], [3, 3, 4]), PairsObjective(OURS, OURS), BatchConfig(tokens=64), seed=0)
    sizes = sorted(batch.labels.shape for (batch,) in own.epoch(0))
    assert sizes == [(1, 201), (2, 5)]


def test_a_process_without_rows_has_one_that_counts_for_nothing() -> None:
    steps = [
        list(Loader(encoded([3]), CausalObjective(OURS), CONFIG, seed=0, rank=r, world=2).epoch(0))
        for r in (0, 1)
    ]
    assert [[len(rows_learned(batch)) for batch in step] for (step,) in steps] == [[1], [0]]


def test_texts_without_sources_cannot_be_pairs() -> None:
    with pytest.raises(DataError, match="source"):
        Loader(encoded([3]), PairsObjective(OURS, OURS), CONFIG, seed=0)


@pytest.mark.parametrize("lengths", [[], [0, 0]])
def test_nothing_to_learn_from_is_refused(lengths: list[int]) -> None:
    with pytest.raises(DataError, match="no text"):
        Loader(encoded(lengths), MaskedObjective(OURS, VOCABULARY), CONFIG, seed=0)


def test_a_row_longer_than_the_batch_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"context = 64.*tokens = 32"):
        Loader(encoded([3]), CausalObjective(OURS), BatchConfig(tokens=32, context=64), seed=0)


@pytest.mark.parametrize("wrong", [{"tokens": 0}, {"context": 2}, {"accumulate": 0}])
def test_impossible_settings_are_refused_by_name(wrong: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match=f"batch.{next(iter(wrong))} = "):
        BatchConfig(**wrong)
