import gzip
import random
from pathlib import Path

import pytest

from headway.data.corpus import DataConfig, Record
from headway.errors import DataError
from headway.planning import sample
from headway.planning.facts import DataFacts, facts_of, lengths_of, measure
from headway.planning.sample import Sample
from tests.planning.texts import sentences, write


def facts(pairs: list[tuple[str, str]]) -> DataFacts:
    records = [Record(a, b, "text", 1) for a, b in pairs]
    return facts_of(Sample(records, "pairs"), pairs=True)


def test_what_is_counted() -> None:
    found = facts([("ab", "x y"), ("ab", "x z"), ("cab", "cab"), ("cab", "cab"), ("가나 다", "中文")])
    assert found.source is not None
    assert (found.examples, found.distinct, found.read, found.targets) == (5, 4, 5, 4)
    assert found.duplicates == pytest.approx(1 / 5)
    assert (found.copies, found.ambiguous) == (2 / 5, 1 / 3)
    assert (found.source.alphabet.kinds, found.source.alphabet.once) == (7, 4), (
        "a b c, three syllables, a blank"
    )
    assert (found.target.vocabulary.kinds, found.target.vocabulary.seen) == (5, 7)
    assert (found.source.hangul, found.target.hangul) == (3 / 14, 0)
    assert found.target.unspaced == 2 / 14
    assert found.shared == 6 / 12, "blanks are not letters"
    assert found.steepest == (0, 0)
    assert facts([("a", "b " * 100)]).steepest == (150, 50)


def test_lengths_are_those_of_the_sorted_middle_and_end() -> None:
    found = lengths_of([*range(1, 101)])
    assert (found.mean, found.median, found.most, found.longest) == (50.5, 50, 95, 100)
    assert str(lengths_of([7])) == "7 (7, 7)"


@pytest.mark.parametrize("suffix", [".tsv", ".tsv.gz"])
def test_a_large_file_is_judged_by_parts_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Within a few per cent of what is counted in all of it."""
    draw = random.Random(3)
    pairs = [(f"{number} {draw.randint(0, 99)}", "same " * draw.randint(1, 9)) for number in range(6000)]
    path = write(tmp_path / "pairs.tsv", pairs)
    if suffix.endswith(".gz"):
        path = tmp_path / "pairs.tsv.gz"
        path.write_bytes(gzip.compress((tmp_path / "pairs.tsv").read_bytes(), 6))
    whole = measure(DataConfig(train=(str(path),)), True)
    monkeypatch.setattr(sample, "WHOLE", 10_000)
    monkeypatch.setattr(sample, "SAMPLED", 40_000)
    part = measure(DataConfig(train=(str(path),)), True)
    assert part.estimated
    assert not whole.estimated
    assert part.read < 2000
    assert part.examples == pytest.approx(whole.examples, rel=0.1)
    assert part.target.words.mean == pytest.approx(whole.target.words.mean, rel=0.1)
    if suffix == ".tsv":
        assert part.source is not None
        assert part.source.alphabet.kinds == 11
        assert part.source.characters.longest == whole.source.characters.longest  # type: ignore[union-attr]


def test_parallel_files_stay_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "WHOLE", 1000)
    monkeypatch.setattr(sample, "SAMPLED", 1000)
    lines = [f"{number:04} " * 3 for number in range(2000)]
    for name in ("text.de", "text.en"):
        (tmp_path / name).write_text("\n".join(lines) + "\n", "utf-8")
    data = DataConfig(train=(str(tmp_path / "text.de"), str(tmp_path / "text.en")), layout="parallel")
    found = measure(data, True)
    assert found.copies == 1
    assert found.examples == pytest.approx(2000, rel=0.05)


def test_each_file_may_be_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / f"{number}.py").write_text("def f():\n    return 1\n" * 10, "utf-8")
    monkeypatch.setattr(sample, "WHOLE", 100)
    monkeypatch.setattr(sample, "MOST_FILES", 5)
    found = measure(DataConfig(train=(str(tmp_path / "*.py"),), layout="file"), False)
    assert (found.examples, found.read) == (20, 5)


def test_of_validation_files_only_the_examples_are_counted(tmp_path: Path) -> None:
    path = sentences(tmp_path, 50)
    valid = write(tmp_path / "valid.tsv", [("q", "Q")] * 7)
    found = measure(DataConfig(train=(str(path),), valid=(str(valid),)), True)
    assert (found.held_out, found.examples) == (7, 50)
    assert found.source is not None
    assert "q" not in path.read_text("utf-8")
    sources = [line.split("\t")[0] for line in path.read_text("utf-8").splitlines()]
    assert found.source.alphabet.kinds == len(set("".join(sources))), "no letter of it"


def test_bad_lines_of_a_small_file_are_told_of(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("a\tb\nc\td\nno tab\n", "utf-8")
    with pytest.raises(DataError, match="line 3: missing tab"):
        measure(DataConfig(train=(str(path),)), True)
