"""Perplexity, bits per byte and masked accuracy, from cases whose figures are known."""

import math

import numpy as np
import pytest

from headway.evaluation.language import bits_per_byte, masked_accuracy, perplexity, unknown_tokens


def test_a_uniform_guess_among_n_has_perplexity_n() -> None:
    tokens = np.array([3, 5, 2])
    measure = perplexity(-math.log(50) * tokens, tokens)
    assert measure.value == pytest.approx(50)
    assert measure.low == pytest.approx(50)
    assert measure.high == pytest.approx(50)
    assert measure.lower_is_better


def test_bits_per_byte_do_not_depend_on_the_tokens() -> None:
    sizes = np.array([10, 30])
    assert bits_per_byte(-math.log(256) * sizes, sizes).value == pytest.approx(8)
    assert bits_per_byte(np.array([-math.log(2), 0.0]), sizes).value == pytest.approx(1 / 40)


def test_sums_are_taken_before_ratios() -> None:
    measure = perplexity(np.array([-1.0, -9.0]), np.array([1, 3]))
    assert measure.value == pytest.approx(math.exp(10 / 4))
    assert measure.low == pytest.approx(math.exp(1))
    assert measure.high == pytest.approx(math.exp(3))


def test_what_was_held_impossible_is_infinitely_surprising() -> None:
    assert perplexity(np.array([-np.inf]), np.array([3])).value == math.inf
    assert perplexity(np.array([-1e6]), np.array([1])).value == math.inf


def test_masked_accuracy_is_a_share_of_what_was_hidden() -> None:
    measure = masked_accuracy(np.array([1, 0, 2]), np.array([2, 1, 2]))
    assert measure.value == pytest.approx(60)
    assert measure.unit == "%"


def test_unknown_tokens_are_a_share_of_all() -> None:
    measure = unknown_tokens(np.array([1, 0, 3]), np.array([10, 5, 5]))
    assert measure.value == pytest.approx(20)
    assert measure.unit == "%"
