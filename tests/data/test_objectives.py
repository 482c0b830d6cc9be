from itertools import chain, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headway.batch import NO_LABEL, Batch
from headway.data.objectives import CausalObjective, Example, MaskedObjective, Objective, PairsObjective
from headway.text.special import OURS
from headway.text.tokenizer import BEGIN, END, MASK, PAD

IDS = st.lists(st.integers(5, 99), max_size=8)


def text(*ids: int, index: int = 0, start: int = 0, stop: int | None = None) -> Example:
    return Example(index, np.array(ids, dtype=np.uint16), None, start, stop)


def pair(source: list[int], target: list[int], index: int = 0) -> Example:
    return Example(index, np.array(target, dtype=np.uint16), np.array(source, dtype=np.uint16))


def equal(one: torch.Tensor, rows: list[list[int]]) -> bool:
    return one.tolist() == rows


@pytest.mark.parametrize(
    "objective", [CausalObjective(OURS), PairsObjective(OURS, OURS), MaskedObjective(OURS, 100)]
)
def test_each_is_an_objective(objective: object) -> None:
    assert isinstance(objective, Objective)


# ---------------------------------------------------------------- causal


def test_a_text_predicts_each_next_token() -> None:
    batch = CausalObjective(OURS).batch([[text(7, 8, 9)], [text(6)]], 0, 0)
    assert equal(batch.inputs.ids, [[BEGIN, 7, 8, 9], [BEGIN, 6, PAD, PAD]])
    assert equal(batch.labels, [[7, 8, 9, END], [6, END, NO_LABEL, NO_LABEL]])
    assert batch.source is None
    assert batch.inputs.segments is None, "causality hides padding on the right"


def test_texts_packed_in_a_row_are_segments() -> None:
    batch = CausalObjective(OURS).batch([[text(7, 8), text(9)], [text()]], 0, 0)
    assert equal(batch.inputs.ids, [[BEGIN, 7, 8, BEGIN, 9], [BEGIN, PAD, PAD, PAD, PAD]])
    assert equal(batch.labels, [[7, 8, END, 9, END], [END] + [NO_LABEL] * 4])
    assert batch.inputs.segments is not None
    assert equal(batch.inputs.segments, [[1, 1, 1, 2, 2], [1, 0, 0, 0, 0]])


def test_a_piece_from_within_a_text_goes_on_from_the_token_before() -> None:
    ids = (7, 8, 9)
    batch = CausalObjective(OURS).batch([[text(*ids, stop=2)], [text(*ids, start=2, stop=4)]], 0, 0)
    assert equal(batch.inputs.ids, [[BEGIN, 7], [8, 9]])
    assert equal(batch.labels, [[7, 8], [9, END]])


@given(IDS, st.lists(st.integers(1, 8), max_size=3))
def test_the_labels_of_all_pieces_are_the_text_once(ids: list[int], borders: list[int]) -> None:
    cuts = sorted({0, len(ids) + 1, *(border for border in borders if border <= len(ids))})
    pieces = [text(*ids, start=a, stop=b) for a, b in pairwise(cuts)]
    batch = CausalObjective(OURS).batch([pieces], 0, 0)
    assert equal(batch.labels, [[*ids, END]])
    assert equal(batch.inputs.ids, [[BEGIN, *ids]])


# ---------------------------------------------------------------- pairs


def test_a_pair_predicts_the_target_from_the_source() -> None:
    batch = PairsObjective(OURS, OURS).batch([[pair([5, 6, 7], [8])], [pair([9], [10, 11])]], 0, 0)
    assert batch.source is not None
    assert equal(batch.inputs.ids, [[BEGIN, 8, PAD], [BEGIN, 10, 11]])
    assert equal(batch.labels, [[8, END, NO_LABEL], [10, 11, END]])
    assert equal(batch.source.ids, [[5, 6, 7, END], [9, END, PAD, PAD]])
    assert batch.inputs.segments is None
    assert batch.source.segments is not None
    assert equal(batch.source.segments, [[1, 1, 1, 1], [1, 1, 0, 0]])


def test_sources_of_one_length_need_no_segments() -> None:
    batch = PairsObjective(OURS, OURS).batch([[pair([5, 6], [8])], [pair([9, 7], [10, 11])]], 0, 0)
    assert batch.source is not None
    assert batch.source.segments is None


@given(st.lists(st.lists(st.tuples(IDS, IDS), min_size=1, max_size=3), min_size=1, max_size=4))
def test_segments_of_packed_pairs_match(rows: list[list[tuple[list[int], list[int]]]]) -> None:
    batch = PairsObjective(OURS, OURS).batch([[pair(*sides) for sides in row] for row in rows], 0, 0)
    assert batch.source is not None
    packed = any(len(row) > 1 for row in rows)
    assert (batch.inputs.segments is not None) == packed
    assert batch.source.segments is not None or not packed
    for r, row in enumerate(rows):
        for segment, (source, target) in enumerate(row, start=1):
            if batch.inputs.segments is not None and batch.source.segments is not None:
                here = batch.inputs.segments[r] == segment
                there = batch.source.segments[r] == segment
            else:
                here, there = batch.labels[r] != NO_LABEL, batch.source.ids[r] != PAD
            assert batch.inputs.ids[r][here].tolist() == [BEGIN, *target]
            assert batch.labels[r][here].tolist() == [*target, END]
            assert batch.source.ids[r][there].tolist() == [*source, END]


def test_a_target_without_its_source_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        PairsObjective(OURS, OURS).batch([[pair([5], [6])], [text(7)]], 0, 0)


# ---------------------------------------------------------------- masked


def restored(batch: Batch) -> torch.Tensor:
    return torch.where(batch.labels == NO_LABEL, batch.inputs.ids, batch.labels)


@given(
    st.lists(
        st.lists(st.lists(st.integers(5, 99), min_size=1, max_size=9), min_size=1, max_size=3), min_size=1
    )
)
def test_labels_stand_at_masked_positions_and_give_the_text_back(rows: list[list[list[int]]]) -> None:
    examples = [[text(*ids, index=10 * r + n) for n, ids in enumerate(row)] for r, row in enumerate(rows)]
    batch = MaskedObjective(OURS, 100, rate=0.3).batch(examples, 1, 2)
    framed = [list(chain.from_iterable([BEGIN, *ids, END] for ids in row)) for row in rows]
    length = max(map(len, framed))
    assert equal(restored(batch), [row + [PAD] * (length - len(row)) for row in framed])
    labelled = batch.labels != NO_LABEL
    assert labelled.any(dim=1).all(), "no row goes without a mask"
    assert (labelled | (batch.inputs.ids != MASK)).all()
    needed = any(len(row) > 1 for row in rows) or len({len(row) for row in framed}) > 1
    assert (batch.inputs.segments is not None) == needed
    if batch.inputs.segments is not None:
        assert (batch.inputs.segments[labelled] > 0).all()
        assert ((batch.inputs.segments == 0) == (batch.inputs.ids == PAD)).all()


def test_a_text_is_masked_alike_in_any_company() -> None:
    objective = MaskedObjective(OURS, 100, rate=0.3)
    random = np.random.default_rng(0)
    examples = [text(*random.integers(5, 100, 30).tolist(), index=n) for n in range(8)]
    together = objective.batch([[example] for example in examples], 4, 1)
    packed = objective.batch([examples[::-1]], 4, 1)
    for n, example in enumerate(examples):
        alone = objective.batch([[example]], 4, 1)
        assert (alone.inputs.ids[0] == together.inputs.ids[n]).all()
        assert (alone.labels[0] == together.labels[n]).all()
        where = packed.inputs.segments == 8 - n
        assert (alone.inputs.ids[0] == packed.inputs.ids[where]).all()


def test_masks_hang_on_example_seed_and_epoch() -> None:
    objective, ids = MaskedObjective(OURS, 100, rate=0.5), tuple(range(5, 45))
    batches = [
        objective.batch([[text(*ids, index=index)]], seed, epoch).labels
        for index, seed, epoch in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    ]
    assert len({tuple(labels.flatten().tolist()) for labels in batches}) == 4


def test_moving_a_border_does_not_move_the_masks() -> None:
    objective, ids = MaskedObjective(OURS, 100, rate=0.5), tuple(range(5, 45))
    whole = objective.batch([[text(*ids)]], 0, 0).labels[0, 1:-1]
    late = objective.batch([[text(*ids, start=15, stop=40)]], 0, 0).labels[0, 1:-1]
    assert (whole[15:] == late).all()


def test_the_rate_follows_the_progress() -> None:
    objective = MaskedObjective(OURS, 100, rate=0.4, rate_end=0.1)
    rows = [[text(*([9] * 200), index=n)] for n in range(50)]
    for progress, rate in ((0.0, 0.4), (1.0, 0.1)):
        share = (objective.batch(rows, 0, 0, progress).labels != NO_LABEL).float().mean().item()
        assert share == pytest.approx(rate, abs=0.02)


def test_whole_words_are_chosen_whole() -> None:
    objective = MaskedObjective(OURS, 100, rate=0.3, word_starts=lambda ids: ids < 50)
    words = [5, 60, 61, 6, 7, 70, 71, 72] * 10
    chosen = (objective.batch([[text(*words)]], 0, 0).labels != NO_LABEL)[0, 1:-1].view(10, 8)
    assert chosen.any()
    assert not chosen.all()
    for word in (slice(0, 3), slice(3, 4), slice(4, 8)):
        assert (chosen[:, word].all(dim=1) == chosen[:, word].any(dim=1)).all()
