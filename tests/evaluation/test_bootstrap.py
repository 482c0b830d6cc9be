"""Intervals hold the truth as often as they claim, and p-values do not cry wolf."""

import numpy as np
import pytest

from headway.evaluation.bootstrap import interval, paired_difference


@pytest.mark.slow
def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        right = (draw.random(200) < 0.3).astype(np.int64)
        low, high = interval(right, np.ones(200, dtype=np.int64))
        held += low <= 0.3 <= high
    assert 51 <= held <= 59


def test_more_examples_make_it_narrower_and_it_is_the_same_each_time() -> None:
    right = np.tile([0, 1, 1, 1], 25)
    low, high = interval(right, np.ones_like(right))
    assert low < 0.75 < high
    assert (low, high) == interval(right, np.ones_like(right))
    many = np.tile(right, 16)
    narrow_low, narrow_high = interval(many, np.ones_like(many))
    assert high - low == pytest.approx(4 * (narrow_high - narrow_low), rel=0.3)


def test_where_all_are_equal_there_is_no_doubt() -> None:
    ones = np.ones(10, dtype=np.int64)
    assert interval(ones, 2 * ones) == (0.5, 0.5)
    assert interval(0 * ones, 0 * ones) == (0, 0)
    assert interval(ones, 0 * ones) == (np.inf, np.inf)
    with pytest.raises(AssertionError, match="no example"):
        interval(ones[:0], ones[:0])


def test_a_difference_that_is_not_there_is_rarely_seen() -> None:
    draw = np.random.default_rng(2)
    ones = np.ones(100, dtype=np.int64)
    pairs = [(draw.random((2, 100)) < 0.5).astype(np.int64) for _ in range(40)]
    small = sum(paired_difference(a, b, ones, ones).p_value < 0.05 for a, b in pairs)
    assert small <= 6


def test_bounds_of_a_difference_are_those_of_what_is_shown() -> None:
    draw = np.random.default_rng(3)
    first, second = draw.random(300), draw.random(300) + 0.5
    ones = np.ones(300)
    found = paired_difference(first, second, ones, ones)
    half = 1.96 * np.std(first - second) / np.sqrt(300)
    middle = float((first - second).mean())
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=0.02)
    shown = paired_difference(first, second, ones, ones, lambda ratio: 100 * ratio)
    assert shown.p_value == found.p_value
    assert (shown.low, shown.high) == pytest.approx((100 * found.low, 100 * found.high))
