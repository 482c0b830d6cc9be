"""Token files give back what was written, and refuse what was damaged."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hostile_data import changed_header, closed, opened

from headway.data.token_file import MAGIC, TokenFile, TokenWriter
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


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda h: h["arrays"]["starts"].update(at=1 << 60), "starts lies elsewhere"),
        (lambda h: h["arrays"]["lines"].update(bytes=-8), "lines is of another type or size"),
        (lambda h: h["arrays"]["ids"].update(type="O"), "ids is of another type or size"),
        (lambda h: h["arrays"]["lines"].update(bytes=16), "different numbers of examples"),
        (lambda h: h["arrays"].pop("lines"), "other arrays than a token file"),
        (lambda h: h.update(bytes=1 << 50), "another size than it says"),
        (lambda h: h.update(arrays=[]), r"arrays = \[\]: a table is right here"),
        (lambda h: h.update(fingerprint=7), "fingerprint = 7: a string"),
        (lambda h: h.update(about={"deep": [[]]}) or h.pop("crc32"), "crc32 is missing"),
    ],
)
def test_what_cannot_be_is_refused_though_its_sums_fit(
    change: Callable[[dict[str, Any]], object], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.tokens"
    write(path, [([1, 2], None), ([3], None), ([4], None)])
    changed_header(path, change)
    for verify in (True, False):
        with pytest.raises(DataError, match=rf"a\.tokens: is damaged or no token file \(.*{told}"):
            TokenFile(path, verify=verify)


@pytest.mark.parametrize(
    "starts", [[0, 2, 1, 4], [1, 2, 3, 4], [0, 1, 2, 3], [0, 2, 3, 1 << 60], [0, -5, 3, 4]]
)
def test_examples_that_do_not_follow_each_other_are_refused(starts: list[int], tmp_path: Path) -> None:
    path = tmp_path / "a.tokens"
    file = write(path, [([1, 2], None), ([3], None), ([4], None)])
    before = np.array([0, 2, 3, 4], dtype="<i8").tobytes()
    assert file.starts.tobytes() == before
    content = opened(path.read_bytes())
    del file
    path.write_bytes(closed(content.replace(before, np.array(starts, dtype="<i8").tobytes())))
    with pytest.raises(DataError, match="its examples do not follow each other"):
        TokenFile(path, verify=False)


def test_a_header_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tokens"
    path.write_bytes(MAGIC + struct.pack("<QQ", 1 << 63, 0) + b"{")
    with pytest.raises(DataError, match="cut short"):
        TokenFile(path)
    deep = b"[" * 200_000
    path.write_bytes(MAGIC + struct.pack("<QQ", len(deep), zlib.crc32(deep)) + deep)
    with pytest.raises(DataError, match="nested too deeply"):
        TokenFile(path)


def test_tokens_beyond_the_vocabulary_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a", [([1, 99], [5])], source_size=100)
    file.check_ids(100, 6)
    for sizes, told in (((99, 6), "beyond the 99"), ((100, 5), "beyond the 5"), ((100, None), "has sources")):
        with pytest.raises(DataError, match=told):
            file.check_ids(*sizes)


def test_the_longest_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.data.token_file._BLOCK", 2)
    lengths = [1, 4, 2, 7, 3]
    file = write(tmp_path / "a", [([5] * n, [6] * (9 - n)) for n in lengths], source_size=100)
    assert (file.longest, file.longest_source) == (7, 8)
    assert write(tmp_path / "b", [([5], None)]).longest_source == 0
