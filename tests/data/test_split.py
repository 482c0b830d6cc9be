"""What is held out: the share that was asked for, always the same, and with no duplicate in training."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.data.corpus import MOST_HELD_OUT, Record
from headway.data.split import choose_held_out, example_hash, group_of
from headway.errors import DataError


def pair(source: str, target: str = "x", line: int = 1) -> Record:
    return Record(source, target, "file", line)


def split(records: list[Record], share: float, seed: int = 0) -> tuple[list[Record], list[Record]]:
    """Training and validation."""
    held = choose_held_out(records, share, seed, "file")
    inside = [group_of(record, seed) in held for record in records]
    return (
        [record for record, held_out in zip(records, inside, strict=True) if not held_out],
        [record for record, held_out in zip(records, inside, strict=True) if held_out],
    )


sources = st.lists(st.sampled_from("abcdefghijkl"), min_size=2, max_size=60).filter(
    lambda each: len(set(each)) > 1
)


@given(sources, st.floats(0.01, 0.99), st.integers(0, 3))
def test_no_source_is_on_both_sides_and_neither_side_is_empty(
    each: list[str], share: float, seed: int
) -> None:
    train, valid = split([pair(text, str(line)) for line, text in enumerate(each)], share, seed)
    assert train
    assert valid
    assert not {record.source for record in train} & {record.source for record in valid}
    assert len(train) + len(valid) == len(each)


def test_a_large_share_of_few_leaves_some_to_learn_from() -> None:
    train, valid = split([pair("a", "1"), pair("b", "2")], 0.75)
    assert (len(train), len(valid)) == (1, 1)


@given(sources)
def test_order_does_not_matter_and_copies_follow_their_text(each: list[str]) -> None:
    records = [pair(text, str(line)) for line, text in enumerate(each)]
    shuffled = random.Random(0).sample(records, len(records))
    assert choose_held_out(records, 0.3, 5, "") == choose_held_out(shuffled, 0.3, 5, "")


def test_case_blanks_and_unicode_form_do_not_separate_duplicates() -> None:
    assert group_of(pair("Cafe\u0301  AU lait")) == group_of(pair("café au lait", "other"))
    assert group_of(pair("a")) != group_of(pair("b"))
    document, other = (Record(None, text, "file", 1) for text in ("one text", "another"))
    assert group_of(document) != group_of(other)


def test_a_repeated_example_has_the_same_source_and_target() -> None:
    assert example_hash(pair("a", "b")) == example_hash(pair("A ", "b", 9))
    hashes = {
        example_hash(record) for record in (pair("a", "b"), pair("a", "c"), pair("c", "b"), pair("ab", ""))
    }
    assert len(hashes) == 4


def test_the_share_is_met_and_the_seed_changes_the_choice() -> None:
    records = [pair(f"word {number}") for number in range(2_000)]
    held = {seed: split(records, 0.1, seed)[1] for seed in (0, 1)}
    assert len(held[0]) == len(held[1]) == 200
    assert held[0] != held[1]
    assert len(split(records, 0.0001)[1]) == 1


def test_at_most_five_thousand_are_held_out_with_bounded_memory() -> None:
    records = (pair(str(number)) for number in range(11_000))
    assert len(choose_held_out(records, 0.5, 0, "")) == MOST_HELD_OUT


def test_a_frequent_text_does_not_fill_the_validation() -> None:
    records = [pair("often")] * 500 + [pair(str(number)) for number in range(500)]
    for seed in range(5):
        _, valid = split(records, 0.05, seed)
        assert len(valid) == 50
        assert pair("often") not in valid


@pytest.mark.parametrize(
    ("number", "message"), [(1, "holds one example"), (7, "holds 7 examples of one and the same")]
)
def test_what_cannot_be_divided_asks_for_a_validation_file(number: int, message: str) -> None:
    with pytest.raises(DataError, match=rf"^text\.tsv: {message}.*give a validation file"):
        choose_held_out([pair("same")] * number, 0.5, 0, "text.tsv")
