"""A bounded sample of lines."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from headway.text.sample import LONGEST_LINE, sample_lines


@given(st.lists(st.text("ab\n", max_size=12), max_size=10))
def test_all_lines_stay_if_they_fit(texts: list[str]) -> None:
    lines = sample_lines(texts, 1_000)
    assert "".join(lines) == "".join(texts)
    assert all(line.count("\n") <= 1 for line in lines)


@given(st.integers(1, 200), st.integers(1, 60))
def test_a_sample_is_bounded_in_order_and_the_same_each_time(number: int, most: int) -> None:
    texts = [f"{index:05d}" for index in range(number)]
    lines = sample_lines(texts, most)
    assert lines == sorted(lines)
    assert min(number, most) / 2 <= len(lines) <= most or number <= most == len(lines) or len(lines) == 1
    assert lines == sample_lines(iter(texts), most)


def test_characters_are_bounded_too_and_long_lines_come_in_pieces() -> None:
    lines = sample_lines(["x" * 50] * 1_000, 10_000, most_characters=5_000)
    assert 2_000 <= sum(map(len, lines)) <= 5_000
    pieces = sample_lines(["x" * (LONGEST_LINE * 2 + 5)], 10)
    assert [len(piece) for piece in pieces] == [LONGEST_LINE, LONGEST_LINE, 5]


def test_every_part_of_the_text_is_sampled_alike() -> None:
    lines = sample_lines((str(index) for index in range(40_000)), 4_000)
    quarters = Counter(int(line) // 10_000 for line in lines)
    assert all(0.8 * len(lines) / 4 < quarters[quarter] < 1.2 * len(lines) / 4 for quarter in range(4))
