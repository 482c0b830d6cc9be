"""The objectives with special tokens of other libraries: missing ones, shared ones, ones in the middle."""

from itertools import chain, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headway.batch import NO_LABEL
from headway.data.in_memory import InMemory
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import CausalObjective, Example, MaskedObjective, PairsObjective
from headway.errors import RecipeError
from headway.text.special import OURS, SpecialIds

GPT2 = SpecialIds(pad=50, unknown=50, begin=None, end=50, mask=None)
BART = SpecialIds(pad=1, unknown=3, begin=2, end=2, mask=4, source_begin=0)
BERT = SpecialIds(pad=0, unknown=30, begin=31, end=32, mask=33)


def text(*ids: int, start: int = 0, stop: int | None = None) -> Example:
    return Example(0, np.array(ids, dtype=np.uint16), None, start, stop)


def test_without_a_start_each_token_but_the_first_is_predicted() -> None:
    batch = CausalObjective(GPT2).batch([[text(7, 8, 9)], [text(6)]], 0, 0)
    assert batch.inputs.ids.tolist() == [[7, 8, 9], [6, 50, 50]]
    assert batch.labels.tolist() == [[8, 9, 50], [50, NO_LABEL, NO_LABEL]]


@given(st.lists(st.integers(5, 49), min_size=1, max_size=8), st.lists(st.integers(1, 8), max_size=3))
def test_without_a_start_pieces_predict_the_same_once(ids: list[int], borders: list[int]) -> None:
    cuts = sorted({0, len(ids), *(border for border in borders if border < len(ids))})
    pieces = [text(*ids, start=a, stop=b) for a, b in pairwise(cuts)]
    batch = CausalObjective(GPT2).batch([[piece] for piece in pieces], 0, 0)
    real = batch.labels != NO_LABEL
    assert batch.labels[real].tolist() == [*ids[1:], 50]
    assert batch.inputs.ids[real].tolist() == ids


def test_a_loader_gives_each_such_prediction_once() -> None:
    lengths = [1, 3, 20, 40, 7]
    texts = InMemory([np.arange(5, 5 + length) for length in lengths])
    loader = Loader(texts, CausalObjective(GPT2), BatchConfig(tokens=32, context=16), seed=0)
    labels = torch.cat([batch.labels.flatten() for (batch,) in loader.epoch(0)])
    expected = chain.from_iterable([*range(6, 5 + length), 50] for length in lengths)
    assert sorted(labels[labels != NO_LABEL].tolist()) == sorted(expected)


def test_sources_begin_as_their_own_vocabulary_says() -> None:
    objective = PairsObjective(BART, OURS)
    example = Example(0, np.array([7, 8]), np.array([9]))
    batch = objective.batch([[example]], 0, 0)
    assert batch.source is not None
    assert batch.source.ids.tolist() == [[0, 9, 2]]
    assert batch.inputs.ids.tolist() == [[2, 7, 8]]
    assert batch.labels.tolist() == [[7, 8, 3]]
    assert objective.source_frame == 2
    shared = PairsObjective(BART, BART).batch([[example]], 0, 0)
    assert (shared.inputs.ids.tolist(), shared.labels.tolist()) == ([[2, 7, 8]], [[7, 8, 2]])


def test_masks_and_random_tokens_are_of_the_vocabulary() -> None:
    objective = MaskedObjective(BERT, 40, rate=1.0)
    ids = [index for index in range(1, 40) if index not in BERT.all] * 60
    batch = objective.batch([[text(*ids)]], 0, 0)
    row = batch.inputs.ids[0]
    assert (row[0], row[-1]) == (31, 32)
    inner, original = row[1:-1], torch.tensor(ids)
    assert float((inner == 33).float().mean()) == pytest.approx(0.8, abs=0.05)
    others = set(inner[(inner != original) & (inner != 33)].tolist())
    assert others
    assert not others & BERT.all


def test_a_vocabulary_without_a_mask_learns_no_masked_model() -> None:
    with pytest.raises(RecipeError, match="no token for a mask"):
        MaskedObjective(GPT2, 60)
