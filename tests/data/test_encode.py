"""Text is encoded in chunks and pieces as it would be at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.data import encode
from headway.data.corpus import Record
from headway.data.encode import encode_stream, encode_texts, line_pieces
from headway.text.kinds import Kind
from headway.text.tokenizer import TokenizerConfig, Tokenizers, train_tokenizer

TEXT = "".join(f"line {number} of the text,\n" + "\n" * (number % 3) for number in range(60))


@given(st.text("ab\n", max_size=40), st.integers(1, 9))
def test_pieces_are_the_whole_text_and_end_with_lines(text: str, size: int) -> None:
    pieces = list(line_pieces(text, size))
    assert "".join(pieces) == text
    assert all(piece.endswith("\n") for piece in pieces[:-1])
    assert all(len(piece) <= size or "\n" not in piece[:size] for piece in pieces)


@pytest.mark.parametrize("kind", ["bpe", "words", "wordpiece", "unigram", "characters"])
def test_a_long_text_decodes_to_itself(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = train_tokenizer([TEXT], TokenizerConfig(kind=kind, vocab_size=300))
    monkeypatch.setattr(encode, "PIECE_CHARACTERS", 100)
    monkeypatch.setattr(encode, "CHUNK_CHARACTERS", 300)
    long, short, again = encode_texts(tokenizer, [TEXT, "the line", TEXT])
    assert tokenizer.decode(long) == TEXT
    assert list(short) == tokenizer.encode("the line")
    assert list(long) == list(again)


@pytest.mark.parametrize("examples", [1, 3, 4_096])
def test_the_size_of_chunks_changes_nothing(examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = train_tokenizer([TEXT], TokenizerConfig(vocab_size=300))
    records = [Record(f"source {number}", f"line {number}", "file", number) for number in range(8)]
    monkeypatch.setattr(encode, "CHUNK_EXAMPLES", examples)
    monkeypatch.setattr(encode, "SECONDS_BETWEEN_NEWS", -100.0)
    news: list[str] = []
    found = list(encode_stream(enumerate(records), Tokenizers(tokenizer, tokenizer), news.append))
    assert [tag for tag, *_ in found] == list(range(8))
    for _, record, ids, source in found:
        assert tokenizer.decode(ids) == record.target
        assert source is not None
        assert tokenizer.decode(source) == record.source
    assert news
    alone = list(encode_stream([(0, Record(None, "a", "file", 1))], Tokenizers(None, tokenizer), news.append))
    assert alone[0][3] is None
