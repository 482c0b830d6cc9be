"""Files as they come: compressed, marked, globbed, from standard input; nothing is cut short unseen."""

import gzip
import io
import lzma
import os
import random
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from headway.data.input_files import BLOCK, InputFile, Line, input_files, pipe, read_lines, standard_input
from headway.errors import DataError

PACK = {
    ".gz": gzip.compress,
    ".xz": lambda data: lzma.compress(data, preset=0),
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
    "": bytes,
}


def written(folder: Path, content: bytes, name: str = "text.txt") -> InputFile:
    path = folder / name
    path.write_bytes(content)
    return InputFile(name, path)


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=9)))
def test_lines_are_whole_and_counted(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    content = "\n".join(lines)
    file = written(tmp_path_factory.mktemp("lines"), content.encode())
    read = list(read_lines(file, 100))
    assert [line.number for line in read] == list(range(1, len(read) + 1))
    assert "".join(line.text for line in read).removeprefix("\ufeff") == content.removeprefix("\ufeff")
    assert not any(line.fault for line in read)


@pytest.mark.parametrize("suffix", PACK)
def test_compressed_files_are_read_as_they_are(suffix: str, tmp_path: Path) -> None:
    content = "first\n" + "ä" * BLOCK + "\nlast"
    file = written(tmp_path, PACK[suffix](content.encode()), f"text.tsv{suffix}")
    assert "".join(line.text for line in read_lines(file, 2 * BLOCK)) == content
    assert file.suffix == ".tsv"


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_several_compressed_parts_are_one_text(suffix: str, tmp_path: Path) -> None:
    pack = PACK[suffix]
    file = written(tmp_path, pack(b"a\nb") + pack(b"c\n"), f"text{suffix}")
    assert [line.text for line in read_lines(file, 9)] == ["a\n", "bc\n"]


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_an_archive_cut_short_or_foreign_is_refused(suffix: str, tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(100_000).hex().encode()
    packed = PACK[suffix](noise)
    for content in (packed[: len(packed) // 2], packed[:-1], b"plain text\n" * 9):
        file = written(tmp_path, content, f"text{suffix}")
        with pytest.raises(DataError, match="damaged, cut short"):
            list(read_lines(file, len(noise)))


@pytest.mark.parametrize("suffix", PACK)
def test_a_line_without_end_is_refused_in_bounded_memory(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.data.input_files.LONGEST_LINE", 1 << 25)
    file = written(tmp_path, PACK[suffix](b"short\n" + bytes(1 << 27)), f"text{suffix}")
    tracemalloc.start()
    try:
        lines = read_lines(file, 1000)
        assert next(lines).text == "short\n"
        assert "overlong line" in next(lines).fault, "told before its end is looked for"
        with pytest.raises(DataError, match="line 2: the line has no end within 33,554,432 bytes"):
            next(lines)
        assert tracemalloc.get_traced_memory()[1] < 1 << 26, "half of what is packed"
    finally:
        tracemalloc.stop()


def test_an_archive_that_needs_much_memory_is_refused(tmp_path: Path) -> None:
    raw = bytearray(lzma.compress(b"text", preset=0))
    place = raw.index(bytes([0x21, 0x01])) + 2  # LZMA2, one byte of settings: the size of its dictionary
    raw[place] = 37  # 1 GiB
    head = bytes(raw[12:20])
    raw[20:24] = zlib.crc32(head).to_bytes(4, "little")
    file = written(tmp_path, bytes(raw), "text.xz")
    with pytest.raises(DataError, match="Memory usage limit"):
        list(read_lines(file, 9))


def test_an_xz_file_may_be_filled_up_with_zeros_but_with_nothing_else(tmp_path: Path) -> None:
    packed = lzma.compress(b"a\n")
    for more in (bytes(8), bytes(4096) + packed):
        assert next(read_lines(written(tmp_path, packed + more, "text.xz"), 9)).text == "a\n"
        assert list(read_lines(written(tmp_path, packed + more, "text.xz"), 9))
    with pytest.raises(DataError, match="damaged, cut short"):
        list(read_lines(written(tmp_path, packed + b"more", "text.xz"), 9))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_what_has_no_end_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for name in (f"{tmp_path}/pipe.txt", f"{tmp_path}/*.txt", "/dev/zero"):
        with pytest.raises(DataError, match="is no file but a device or a named pipe"):
            input_files([name])


def test_names_that_no_file_has_are_refused() -> None:
    for name in ("~nosuchuser/text.txt", "x" * 5000, "a\0b", "a\udcff"):
        with pytest.raises(DataError):
            input_files([name])


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    file = written(tmp_path, b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n")
    assert [line.text for line in read_lines(file, 9)] == ["a\n", "\ufeffb\n"]


def test_overlong_lines_are_marked_and_the_next_ones_read(tmp_path: Path) -> None:
    for long in ("x" * 11, "😀" * 11, "x" * 5_000_000):
        file = written(tmp_path, f"{'é' * 10}\r\n{long}\nnext\n{long}".encode())
        read = list(read_lines(file, 10))
        assert [line.number for line in read] == [1, 2, 3, 4]
        assert [line.text for line in read] == ["é" * 10 + "\r\n", "", "next\n", ""]
        assert "overlong line: more than max_characters = 10" in read[1].fault
        assert read[3].fault == read[1].fault


def test_undecodable_bytes_are_named_with_their_place(tmp_path: Path) -> None:
    file = written(tmp_path, b"good\nab\xff\n\xed\xa0\x80\n")
    good, bad, surrogate = read_lines(file, 9)
    assert good == Line(1, "good\n")
    assert "undecodable byte: 0xFF at byte 3" in bad.fault
    assert "0xED at byte 1" in surrogate.fault
    assert "UTF-16" in next(read_lines(written(tmp_path, "text".encode("utf-16")), 9)).fault


def test_globs_are_sorted_and_names_with_brackets_are_names(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "[x].txt"):
        written(tmp_path, b"1", name)
    (tmp_path / "sub.txt").mkdir()
    assert [file.path.name for file in input_files([f"{tmp_path}/[ab].txt"])] == ["a.txt", "b.txt"]
    assert [file.path.name for file in input_files([f"{tmp_path}/[x].txt"])] == ["[x].txt"]
    assert len(input_files([f"{tmp_path}/*.txt"])) == 3


def test_missing_files_folders_and_empty_globs_are_named(tmp_path: Path) -> None:
    written(tmp_path, b"1", "train.tsv")
    with pytest.raises(DataError, match=r"no such file; did you mean 'train\.tsv'"):
        input_files([f"{tmp_path}/tran.tsv"])
    with pytest.raises(DataError, match="is a folder"):
        input_files([str(tmp_path)])
    with pytest.raises(DataError, match="no file matches"):
        input_files([f"{tmp_path}/*.gz"])


def test_standard_input_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input.cache_clear()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("ä\tb\n".encode())))
    for _ in range(2):
        (file,) = input_files(["-"])
        assert file.is_stream
        assert [line.text for line in read_lines(file, 9)] == ["ä\tb\n"]
    standard_input.cache_clear()


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="descriptors are no files here")
def test_a_pipe_can_be_read_again() -> None:
    pipe.cache_clear()
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as writer:
        writer.write(b"a\tb\n")
    for _ in range(2):
        (file,) = input_files([f"/dev/fd/{reading}"])
        assert file.is_stream
        assert [line.text for line in read_lines(file, 9)] == ["a\tb\n"]
    os.close(reading)
    pipe.cache_clear()


def test_a_pipe_that_is_no_more_is_empty() -> None:
    (file,) = input_files(["/dev/fd/987"])
    assert file.is_stream
    assert list(read_lines(file, 9)) == []
