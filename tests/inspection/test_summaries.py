"""Summaries of matrices that can be read by eye."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from headway.inspection.summaries import merge_words, quantise, summarise, thumbnails


def test_heads_that_do_one_thing() -> None:
    own = torch.eye(4)
    before = torch.eye(4).roll(-1, dims=1)
    before[0] = torch.tensor([1.0, 0, 0, 0])
    alike = torch.full((4, 4), 0.25)
    first, second, third = summarise(torch.stack((own, before, alike)))
    assert (first.entropy, first.distance, first.previous, first.diagonal) == (0, 0, 0, 1)
    assert (second.entropy, second.previous) == (0, 1)
    assert second.distance == pytest.approx(3 / 4)
    assert second.diagonal == pytest.approx(1 / 4)
    assert third.entropy == pytest.approx(2)
    assert third.previous == pytest.approx(0.25)
    assert third.diagonal == pytest.approx(0.25)
    assert third.distance == pytest.approx((6 + 4 + 4 + 6) / 16)


def test_the_diagonal_of_memory_leads_from_first_to_last() -> None:
    stretched = torch.zeros(1, 3, 5)
    stretched[0, [0, 1, 2], [0, 2, 4]] = 1
    [head] = summarise(stretched)
    assert (head.distance, head.diagonal) == (0, 1)
    [head] = summarise(stretched.roll(1, dims=2))
    assert head.diagonal == 0
    assert head.distance == pytest.approx((1 + 1 + 4) / 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1)])
def test_a_single_token_has_a_summary(size: tuple[int, int]) -> None:
    [head] = summarise(torch.full((1, *size), 1 / size[1]))
    assert head.entropy == pytest.approx(math.log2(size[1]), abs=1e-6)
    assert math.isfinite(head.distance + head.previous + head.diagonal)


def test_words_get_what_their_tokens_get() -> None:
    weights = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]]])
    merged = merge_words(weights, [0, 1, 1], [0, 0, 1])
    assert torch.allclose(merged, torch.tensor([[[0.75, 0.25], [0.45, 0.55]]]))
    assert torch.allclose(merged.sum(-1), torch.ones(1, 2))
    assert torch.allclose(merge_words(weights, [0, 1, 2], [0, 1, 2]), weights)


def some_weights(*size: int) -> Tensor:
    return torch.randn(*size).mul(3).softmax(-1)


def test_a_byte_is_half_of_a_step_off_at_most() -> None:
    weights = some_weights(2, 7, 9)
    held = quantise(weights)
    assert held.dtype == np.uint8
    assert np.abs(held / 255 - weights.numpy()).max() <= 0.5 / 255 + 1e-7
    assert quantise(torch.ones(1, 1, 1)).item() == 255


def test_thumbnails_are_small_and_keep_the_peaks() -> None:
    weights = some_weights(3, 100, 70)
    small = thumbnails(weights)
    assert small.shape == (3, 24, 24)
    assert (small.max(axis=(1, 2)) == quantise(weights).max(axis=(1, 2))).all()
    weights = some_weights(2, 5, 24)
    assert (thumbnails(weights) == quantise(weights)).all()
