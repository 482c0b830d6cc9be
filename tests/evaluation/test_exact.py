"""Exact match and error rates: against a definition written out, and at their limits."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.evaluation.exact import (
    compare_edit_error_rate,
    compare_exact_match,
    edit_distance,
    edit_error_rate,
    exact_match,
    nearest_errors,
    wrong_outputs,
)

words = st.lists(st.sampled_from("abc"), max_size=7)


def distance_by_definition(first: list[str], second: list[str]) -> int:
    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        kept = distance(i - 1, j - 1) + (first[i - 1] != second[j - 1])
        return min(kept, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(first), len(second))


@given(words, words)
def test_the_edit_distance_is_its_definition(first: list[str], second: list[str]) -> None:
    assert edit_distance(first, second) == distance_by_definition(first, second)


@given(words, words, words)
def test_the_edit_distance_is_a_distance(a: list[str], b: list[str], c: list[str]) -> None:
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


def test_an_output_is_right_if_it_equals_any_reference() -> None:
    references = [["T AH M EY T OW", "T AH M AA T OW"], ["K AE T"], ["D AO G"]]
    outputs = ["T AH M AA T OW", " K AE T ", "D AA G"]
    right, wrong = exact_match(outputs, references), wrong_outputs(outputs, references)
    assert right.value == pytest.approx(200 / 3)
    assert right.value + wrong.value == pytest.approx(100)
    assert (right.name, wrong.name) == ("exact match", "word error rate")
    assert not right.lower_is_better
    assert wrong.lower_is_better


def test_errors_are_counted_against_the_nearest_reference() -> None:
    outputs = ["a b c", "x y", "q"]
    references = [["a b c d", "c b a"], ["x", "x y z"], ["q"]]
    errors, lengths = nearest_errors(outputs, references, "words")
    assert errors.tolist() == [1, 1, 0]
    assert lengths.tolist() == [4, 3, 1], "of equally near references the longest counts"
    measure = edit_error_rate(outputs, references, "words", "phoneme error rate")
    assert measure.value == pytest.approx(100 * 2 / 8)
    assert measure.name == "phoneme error rate"


def test_units_are_words_or_characters() -> None:
    assert edit_error_rate(["the cat"], [["the  cats"]], "words", "WER").value == pytest.approx(50)
    assert edit_error_rate(["abcd"], [["abce"]], "characters", "CER").value == pytest.approx(25)


def test_empty_texts_have_their_place() -> None:
    assert edit_error_rate([""], [[""]], "words", "WER").value == 0
    assert edit_error_rate(["", "a"], [["a b"], ["a"]], "words", "WER").value == pytest.approx(100 * 2 / 3)
    assert edit_error_rate(["a"], [[""]], "words", "WER").value == float("inf")


def test_an_example_without_reference_is_refused() -> None:
    with pytest.raises(AssertionError, match="without a reference"):
        exact_match(["a"], [[]])
    with pytest.raises(ValueError, match="zip"):
        exact_match(["a", "b"], [["a"]])


@pytest.mark.slow
def test_ten_thousand_words_take_no_time() -> None:
    draw = np.random.default_rng(0)
    outputs, references = (
        [" ".join(row) for row in draw.choice(list("abcdefgh"), (10_000, 8))] for _ in range(2)
    )
    measure = edit_error_rate(outputs, [[reference] for reference in references], "words", "PER")
    assert measure.low is not None
    assert measure.high is not None
    assert measure.low < measure.value < measure.high


def test_a_comparison_tells_a_difference_from_chance() -> None:
    draw = np.random.default_rng(0)
    references = [[str(number)] for number in range(500)]

    def system(share_right: float) -> list[str]:
        right = draw.random(500) < share_right
        return [reference[0] if r else "wrong" for reference, r in zip(references, right, strict=True)]

    good, same, bad = system(0.7), system(0.7), system(0.4)
    assert compare_exact_match(good, bad, references).p_value < 0.01
    assert compare_exact_match(good, same, references).p_value > 0.05
    assert compare_exact_match(good, good, references).p_value == 1
    comparison = compare_edit_error_rate(good, bad, references, "words", "WER")
    assert comparison.p_value < 0.01
    assert comparison.first == pytest.approx(edit_error_rate(good, references, "words", "WER").value)
    assert comparison.first < comparison.second
