"""Held-out text that stands in training is found, as a search by hand finds it."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from headway.data.token_file import TokenFile, TokenWriter
from headway.preflight import overlap
from headway.preflight.overlap import check_overlap, passages_in, sources_in
from tests.preflight.starts import prepared_by, recipe_of
from tests.tiny import WORDS

Texts = Sequence[Sequence[int]]


def token_file(path: Path, texts: Texts, sources: Texts | None = None) -> TokenFile:
    with TokenWriter(path, 50, None if sources is None else 50) as writer:
        for number, text in enumerate(texts):
            writer.add(text, None if sources is None else sources[number], number + 1)
        writer.finish("")
    return TokenFile(path)


def drawn(seed: int, count: int, longest: int, size: int = 3) -> list[list[int]]:
    draw = np.random.default_rng(seed)
    return [draw.integers(size, size=draw.integers(1, longest)).tolist() for _ in range(count)]


@pytest.fixture
def by_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "AT_ONCE", 16)
    monkeypatch.setattr(overlap, "WINDOW", 5)


@pytest.mark.usefixtures("by_little")
def test_passages_are_found_as_by_hand(tmp_path: Path) -> None:
    training, held_out = drawn(1, 30, 20), drawn(2, 40, 20)
    text = [token for each in training for token in each]
    known = {tuple(text[at : at + 5]) for at in range(len(text) - 4)} | {
        tuple(t) for t in training if len(t) < 5
    }
    passages = [
        tuple(each[at : at + 5])
        for each in held_out
        for at in range(0, max(1, len(each) - 4), 5)
        if len(each) < 5 or at + 5 <= len(each)
    ]
    files = (token_file(tmp_path / name, each) for name, each in (("a", training), ("b", held_out)))
    share, _, first = passages_in(*files, 50)
    by_hand = [passage in known for passage in passages]
    assert share == pytest.approx(np.mean(by_hand))
    assert 0.2 < share < 0.9
    assert first.startswith(", first that of line ")


@pytest.mark.usefixtures("by_little")
def test_sources_are_found_as_by_hand(tmp_path: Path) -> None:
    sources, targets = drawn(1, 60, 4), drawn(2, 60, 3)
    held_sources, held_targets = drawn(3, 50, 6), drawn(4, 50, 3)
    training = token_file(tmp_path / "a", targets, sources)
    held_out = token_file(tmp_path / "b", held_targets, held_sources)
    share, _, first = sources_in(training, held_out, 50)
    hits = [source in sources for source in held_sources]
    pairs = [each in zip(sources, targets) for each in zip(held_sources, held_targets)]  # noqa: B905
    assert share == pytest.approx(np.mean(hits))
    assert f"{np.mean(pairs):.0%} with the same target" in first
    assert 0 < np.mean(pairs) < share < 1
    held, other = map(int, re.findall(r"line (\d+)", first))
    assert held_sources[held - 1] == sources[other - 1]


def book(path: Path, first: int, last: int) -> Path:
    """Some of 200 lines of words, as one document."""
    draw = np.random.default_rng(0)
    lines = [" ".join(draw.choice(WORDS, 8)) for _ in range(200)]
    path.write_text("\n".join(lines[first:last]) + "\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("start", "stop", "level"), [(100, 140, "fault"), (140, 180, "warning"), (160, 200, "ok")]
)
def test_a_held_out_file_that_is_part_of_training(tmp_path: Path, start: int, stop: int, level: str) -> None:
    train, valid = book(tmp_path / "train.txt", 0, 160), book(tmp_path / "valid.txt", start, stop)
    found = check_overlap(
        prepared_by(recipe_of("causal", train, "data.layout=file", valid=[valid]), tmp_path)
    )
    assert found.level == level, found
    if level == "fault":
        assert "of the passages held out are in training too, first that of line 1" in found.message
        assert "data.valid" in found.remedy


def test_pairs_that_were_left_out_of_training_are_told(tmp_path: Path) -> None:
    lines = [f"{word}\t{' '.join(word)}\n" for word in WORDS]
    train, valid = tmp_path / "train.tsv", tmp_path / "valid.tsv"
    train.write_text("".join(lines), "utf-8")
    valid.write_text("".join(lines[:20]), "utf-8")
    found = check_overlap(prepared_by(recipe_of("pairs", train, valid=[valid]), tmp_path))
    assert found.level == "warning"
    assert found.message == "data.train held 20 examples of data.valid, which were left out of training"


def test_what_is_held_out_here_is_apart(tmp_path: Path) -> None:
    lines = [f"{word}\t{' '.join(word)}\n" for word in WORDS]
    train = tmp_path / "train.tsv"
    train.write_text("".join([*lines, *lines]), "utf-8")
    found = check_overlap(prepared_by(recipe_of("pairs", train), tmp_path))
    assert (found.level, found.message) == ("ok", "no sources held out are in training")
