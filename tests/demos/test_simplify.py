from pathlib import Path

from headway.demos.bible import Alignment
from headway.demos.simplify import write_verses


def read(file: Path) -> list[tuple[str, ...]]:
    return [tuple(line.split("\t")) for line in file.read_text("utf-8").splitlines()]


def test_chapters_stay_together_and_no_source_is_on_both_sides(tmp_path: Path) -> None:
    formula = ("And the LORD spake unto Moses, saying,", "And the Lord said to Moses,")
    chapters = {number: [(f"hath {number}", f"has {number}"), formula] for number in range(30)}
    account = write_verses(Alignment(chapters, {"split in two verses": 3}), tmp_path, valid=3, test=4)
    train, valid, test = (read(tmp_path / f"{part}.tsv") for part in ("train", "valid", "test"))
    assert (len(valid), len(test)) == (6, 8)
    assert test.count(formula) == 4
    assert len(train) == 23
    assert not {source for source, _ in train} & {source for source, _ in valid + test}
    assert {*train, *valid, *test} == {verse for verses in chapters.values() for verse in verses}
    assert "left out 3 verses: split in two verses" in account
    assert "left out 23 verses: also in a held-out chapter" in account
