from pathlib import Path

from headway.demos.fill import VERSES, with_blank, write_chapters
from headway.text.tokenizer import TokenizerConfig, train_tokenizer


def test_chapters_are_lines_and_the_test_is_there_by_verse(tmp_path: Path) -> None:
    chapters = {1000 + index: [f"First verse {index}.", f"Second verse {index}."] for index in range(20)}
    write_chapters(chapters, tmp_path, valid=2, test=3)
    parts = {
        part: (tmp_path / f"{part}.txt").read_text("utf-8").splitlines()
        for part in ("train", "valid", "test")
    }
    assert [len(lines) for lines in parts.values()] == [15, 2, 3]
    assert sorted(line for lines in parts.values() for line in lines) == sorted(
        map(" ".join, chapters.values())
    )
    verses = (tmp_path / VERSES).read_text("utf-8").splitlines()
    assert len(verses) == 6
    assert [" ".join(two) for two in zip(verses[::2], verses[1::2], strict=True)] == parts["test"]


def test_the_longest_word_of_one_token_is_blanked() -> None:
    tokenizer = train_tokenizer(["and the light was good"] * 10, TokenizerConfig(vocab_size=300))
    assert len(tokenizer.encode(" light")) == 1
    assert len(tokenizer.encode(" darkness")) > 1
    assert with_blank("Goodness the light was darkness and good.", tokenizer) == (
        "Goodness the ___ was darkness and good.",
        "light",
    )


def test_a_verse_without_such_a_word_has_no_blank() -> None:
    tokenizer = train_tokenizer(["and the light was good"] * 10, TokenizerConfig(vocab_size=300))
    assert with_blank("Unintelligible mumblings, the.", tokenizer) is None
    assert with_blank("the", tokenizer) is None  # nothing before it to go on
