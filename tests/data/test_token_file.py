"""Token files give back what was written, and refuse what was damaged."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.data.token_file import TokenFile, TokenWriter
from headway.errors import DataError

Example = tuple[list[int], list[int] | None]
ids = st.lists(st.integers(0, 99), max_size=5)


def write(
    path: Path, examples: list[Example], vocab_size: int = 100, source_size: int | None = None
) -> TokenFile:
    with TokenWriter(path, vocab_size, source_size) as writer:
        for number, (target, source) in enumerate(examples):
            writer.add(target, source, number * 2 + 1)
        writer.finish("print", {"note": "ä"})
    return TokenFile(path)


def same(file: TokenFile, examples: list[Example]) -> None:
    assert len(file) == len(examples)
    assert file.lengths.tolist() == [len(target) for target, _ in examples]
    assert file.lines.tolist() == [number * 2 + 1 for number in range(len(examples))]
    assert file.lengths.dtype == file.lines.dtype == np.int64
    for number, (target, source) in enumerate(examples):
        assert file.ids(number).tolist() == target
        found = file.source(number)
        assert (None if found is None else found.tolist()) == source
    expected = None if any(source is None for _, source in examples) else [len(s or []) for _, s in examples]
    if examples:
        assert (None if file.source_lengths is None else file.source_lengths.tolist()) == expected
    assert (file.fingerprint, file.about) == ("print", {"note": "ä"})


@given(st.lists(st.tuples(ids, ids), max_size=6))
def test_pairs_are_given_back(
    tmp_path_factory: pytest.TempPathFactory, examples: list[tuple[list[int], list[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    same(write(folder / "a.tokens", list(examples), source_size=100), list(examples))
    assert [path.name for path in folder.iterdir()] == ["a.tokens"]


@given(st.lists(ids, max_size=6))
def test_documents_are_given_back(
    tmp_path_factory: pytest.TempPathFactory, documents: list[list[int]]
) -> None:
    examples: list[Example] = [(document, None) for document in documents]
    file = write(tmp_path_factory.mktemp("documents") / "a.tokens", examples)
    same(file, examples)
    assert file.source_lengths is None


@pytest.mark.parametrize(("size", "width"), [(65_536, 2), (65_537, 4)])
def test_ids_are_as_narrow_as_the_vocabulary_allows(size: int, width: int, tmp_path: Path) -> None:
    file = write(tmp_path / "a", [([size - 1, 0], [7])], size, 10)
    assert file.ids(0).tolist() == [size - 1, 0]
    assert file.ids(0).dtype.itemsize == width
    source = file.source(0)
    assert source is not None
    assert source.dtype.itemsize == 2


def test_the_file_is_mapped_and_cannot_be_written_to(tmp_path: Path) -> None:
    file = write(tmp_path / "a", [([1, 2, 3], None)])
    assert not file.ids(0).flags.writeable
    assert not file.ids(0).flags.owndata
    for wrong in (-1, 1):
        with pytest.raises(IndexError):
            file.ids(wrong)


def test_until_it_is_finished_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.tokens"
    write(path, [([1], None)])
    with pytest.raises(RuntimeError, match="stopped"), TokenWriter(path, 100) as writer:
        writer.add([5, 6], None, 1)
        raise RuntimeError("stopped")
    same(TokenFile(path), [([1], None)])
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tokens"]


def test_every_changed_byte_and_every_cut_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.tokens"
    write(path, [([1, 2], [3]), ([4], [5, 6])], source_size=100)
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[position] ^= 0x40
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"a\.tokens: is damaged or no token file"):
            TokenFile(path)
    for size in (0, 5, 20, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="damaged"):
            TokenFile(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(DataError, match="bytes instead of"):
        TokenFile(path)


def test_ids_are_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "a", [([1, 2, 2], None), ([2], None), ([9], None)])
    assert file.counts(10, 2).tolist() == [0, 1, 3, 0, 0, 0, 0, 0, 0, 0]
    assert file.counts(10, 100).sum() == 5


def test_two_processes_never_write_the_same_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tokens"
    with TokenWriter(path, 100) as one:
        monkeypatch.setattr("headway.data.token_file.os.getpid", lambda: 1)
        with TokenWriter(path, 100) as other:
            one.add([1], None, 1)
            other.add([2, 3], None, 1)
            one.finish("print", {"note": "ä"})
            same(TokenFile(path), [([1], None)])
            other.finish("print", {"note": "ä"})
    same(TokenFile(path), [([2, 3], None)])
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tokens"]


def test_parts_of_a_killed_process_are_removed_in_time(tmp_path: Path) -> None:
    old, new = (tmp_path / f"a.tokens.{number}.ids.part" for number in (1, 2))
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    write(tmp_path / "a.tokens", [([1], None)])
    assert new.exists(), "another process may be writing it"
    assert not old.exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none"):
        TokenFile(tmp_path / "none")
