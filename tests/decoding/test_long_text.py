"""Long text is split where it hurts least, and nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.decoding.long_text import longest_end, split_text

TEXTS = st.text(st.sampled_from("ab .!?\n\r\t。“”)…é"), max_size=60)


def within(limit: int):
    return lambda text: len(text) <= limit


@given(text=TEXTS, limit=st.integers(1, 12))
def test_pieces_fit_and_join_to_the_text(text: str, limit: int) -> None:
    pieces = split_text(text, within(limit))
    assert pieces.join(pieces.parts) == text
    assert all(0 < len(part) <= limit for part in pieces.parts)
    assert all(part == part.strip() for part in pieces.parts if len(part) > 1)
    assert not any("\n" in part or "\r" in part for part in pieces.parts)
    assert len(pieces.gaps) == len(pieces.parts) + 1


def test_only_blanks_lie_between_pieces_that_could_be_cut_there() -> None:
    pieces = split_text("One two. Three four.\r\n\r\n  Five.", within(10))
    assert pieces.parts == ["One two.", "Three", "four.", "Five."]
    assert pieces.gaps == ["", " ", " ", "\r\n\r\n  ", ""]
    assert pieces.join("ABCD") == "A B C\r\n\r\n  D"


def test_a_line_that_fits_is_one_piece_and_as_many_sentences_as_fit_share_one() -> None:
    text = "A b. C d.\nA b. C d. E f. G h."
    assert split_text(text, within(12)).parts == ["A b. C d.", "A b. C d.", "E f. G h."]


def test_sentences_end_with_what_closes_them() -> None:
    assert split_text('He said "no." She said (yes!) They left…', within(16)).parts == [
        'He said "no."',
        "She said (yes!)",
        "They left…",
    ]
    assert split_text("第一句。第二句！第三句", within(4)).parts == ["第一句。", "第二句！", "第三句"]
    assert split_text("It is 3.14 or so", within(12)).parts == ["It is 3.14", "or so"]


def test_a_word_that_is_too_long_is_cut_anywhere() -> None:
    pieces = split_text("ab abcdefgh", within(3))
    assert pieces.parts == ["ab", "abc", "def", "gh"]
    assert pieces.join(pieces.parts) == "ab abcdefgh"


def test_a_character_that_does_not_fit_is_kept_whole() -> None:
    assert split_text("xy", lambda _: False).parts == ["x", "y"]
    assert split_text(" \n\n ", within(1)).join([]) == " \n\n "


@pytest.mark.parametrize(("text", "most", "end"), [("abcdef", 2, "ef"), ("abc", 3, "abc"), ("abc", 0, "")])
def test_the_longest_end_that_fits(text: str, most: int, end: str) -> None:
    assert longest_end(text, lambda part: len(part) <= most) == end
