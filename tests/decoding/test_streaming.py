"""Text shown while it grows."""

from functools import cache
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.decoding.streaming import TextStream, continuation
from headway.text.tokenizer import Tokenizer, TokenizerConfig, train_tokenizer

from .toys import byte_pairs

SAMPLE = ["the cat, sat. on mats!\nAnd didn't sit; 12 cats"] * 3
ALL = st.characters(exclude_categories=["Cs"])


def stream(tokenizer: Tokenizer, before: list[int], ids: list[int], *, ended: bool) -> list[str]:
    growing = TextStream(tokenizer, before)
    return [*(growing.add(token) for token in ids), growing.finish(ended=ended)]


@cache
def letters(kind: str) -> Tokenizer:
    """A vocabulary of letters that are composed when written."""
    config = TokenizerConfig(kind=kind, vocab_size=300, normalize="letters")  # type: ignore[arg-type]
    return train_tokenizer(["하한국각값가각 é\u0301\u0323q"] * 2, config)


@given(prompt=st.text(ALL, max_size=8), text=st.text(ALL, max_size=20))
def test_pieces_join_to_the_text_and_no_character_is_shown_half(prompt: str, text: str) -> None:
    tokenizer = byte_pairs()
    pieces = stream(tokenizer, tokenizer.encode(prompt), tokenizer.encode(text), ended=True)
    assert "".join(pieces) == text
    assert "\ufffd" in text or not any("\ufffd" in piece for piece in pieces)


@given(ids=st.lists(st.integers(5, 260), max_size=12))
def test_bytes_that_are_no_characters_come_as_the_whole_text_has_them(ids: list[int]) -> None:
    tokenizer = byte_pairs()
    assert "".join(stream(tokenizer, [], ids, ended=True)) == tokenizer.decode(ids)


def test_what_is_cut_inside_a_character_stays_unshown() -> None:
    tokenizer = byte_pairs()
    ids = tokenizer.encode("a€")
    assert len(ids) == 4, "the sign must take three tokens for this test"
    assert stream(tokenizer, [], ids[:-1], ended=False) == ["a", "", "", ""]
    assert stream(tokenizer, [], ids, ended=False) == ["a", "", "", "€", ""]


def test_characters_are_shown_at_once() -> None:
    tokenizer = byte_pairs()
    pieces = stream(tokenizer, tokenizer.encode("the"), tokenizer.encode(" cat xyz"), ended=True)
    assert pieces[0] == " cat"
    assert all(pieces[:-1])


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram", "words", "characters", "symbols"])
def test_every_kind_of_tokenizer_streams_what_it_decodes(kind: str) -> None:
    size = 300 if kind == "bpe" else 60
    tokenizer = train_tokenizer(SAMPLE, TokenizerConfig(kind=kind, vocab_size=size))
    ids = tokenizer.encode("the cat sat.\nAnd 12 cats didn't sit; on mats!")
    for cut in range(0, len(ids), 3):
        pieces = stream(tokenizer, ids[:cut], ids[cut:], ended=True)
        assert "".join(pieces) == continuation(tokenizer, ids[:cut], ids[cut:])
        assert tokenizer.decode(ids[:cut]) + "".join(pieces) == tokenizer.decode(ids)


@given(text=st.text("하한국각값가각 é\u0301\u0323q", max_size=12))
@pytest.mark.parametrize("kind", ["bpe", "characters"])
def test_letters_are_shown_when_no_other_can_join_them(kind: str, text: str) -> None:
    tokenizer = letters(kind)
    pieces = stream(tokenizer, [], tokenizer.encode(text), ended=True)
    assert "".join(pieces) == normalize("NFC", text)
    assert "\ufffd" not in "".join(pieces)


def test_a_syllable_is_shown_when_the_next_begins() -> None:
    tokenizer = letters("characters")
    assert stream(tokenizer, [], tokenizer.encode("한국"), ended=True) == ["", "", "", "한", "", "", "국"]
