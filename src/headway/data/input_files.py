"""Files of text as they come: globs, compressed, from standard input; line by line in bounded memory."""

import atexit
import difflib
import glob
import gzip
import hashlib
import io
import lzma
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import zstandard

from headway.config import DESCRIPTORS, may_be_read
from headway.errors import DataError, shown

STANDARD_INPUT = "-"
_STANDARD_INPUT_NAME = "<standard input>"
COMPRESSED = (".gz", ".xz", ".zst")
BLOCK = 1 << 20
"""Bytes read at a time."""
LONGEST_LINE = 1 << 28
"""Bytes of a line that is passed over for being too long; one without end must not be followed for ever."""
MOST_MEMORY = 1 << 28
"""Bytes that an .xz file may need to be unpacked; the strongest preset needs a quarter of it."""
_SMALL_BLOCK = 1 << 9
"""Bytes unpacked at a time: what they hold is thousands of times as much at worst."""

_MARK = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8."""


class InputFile(NamedTuple):
    """A file to read, and the name that messages call it by."""

    name: str
    path: Path
    is_stream: bool = False
    """Whether it could be read only once, so that `path` is a copy."""

    @property
    def suffix(self) -> str:
        """What the name says about the content: the suffix before .gz, .xz or .zst."""
        inner = self.path.with_suffix("") if self.path.suffix in COMPRESSED else self.path
        return inner.suffix.lower()


class Line(NamedTuple):
    """A line with its end; `fault` says why it is no text, and then `text` is empty."""

    number: int
    text: str
    fault: str = ""


def input_files(patterns: Sequence[str]) -> list[InputFile]:
    """The files that the paths and globs name, each glob in alphabetical order; "-" is standard input."""
    return [file for pattern in patterns for file in _matches(pattern)]


def read_lines(file: InputFile, max_characters: int) -> Iterator[Line]:
    """Every line, numbered from 1; one that is too long or no UTF-8 is marked, not held nor left out."""
    # One byte more than the longest line can have, with mark and line end, tells that a line is too long.
    limit = 4 * max_characters + len(_MARK) + 3
    try:
        with open_binary(file.path) as stream:
            number = 0
            while block := stream.readline(limit):
                number += 1
                cut = len(block) == limit and not block.endswith(b"\n")
                yield _line(number, block.removeprefix(_MARK) if number == 1 else block, max_characters, cut)
                if cut:
                    _pass_over(stream, file.name, number)
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise DataError(f"is damaged, cut short or not what its suffix says ({error})", file.name) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", file.name) from error


def open_binary(path: Path) -> io.BufferedIOBase:
    """The content of the file, decompressed if its suffix is .gz, .xz or .zst."""
    raw: object
    if path.suffix == ".gz":
        raw = gzip.GzipFile(path, "rb")
    elif path.suffix == ".xz":
        raw = _Unpacked(path.open("rb"), lambda: lzma.LZMADecompressor(memlimit=MOST_MEMORY))
    elif path.suffix == ".zst":
        raw = _Unpacked(path.open("rb"), lambda: zstandard.ZstdDecompressor().decompressobj())
    else:
        raw = path.open("rb", buffering=0)
    return io.BufferedReader(cast(io.RawIOBase, raw), BLOCK)


def _pass_over(stream: io.BufferedIOBase, name: str, number: int) -> None:
    """Read to the end of a line."""
    passed = 0
    while (rest := stream.readline(BLOCK)) and not rest.endswith(b"\n"):
        passed += len(rest)
        if passed > LONGEST_LINE:
            raise DataError(
                f"the line has no end within {LONGEST_LINE:,} bytes: this is no text", name, number
            )


def content_hash(path: Path) -> str:
    """SHA-256 of the file as it lies on disk."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def standard_input() -> Path:
    """A temporary file that holds standard input, which can be read only once but is needed several times."""
    return _copy(() if sys.stdin.isatty() else _blocks(sys.stdin.buffer), "")


@cache
def pipe(path: Path) -> Path:
    """A temporary file that holds what came through a pipe; empty if the pipe is no more."""
    if not path.exists():
        return _copy((), "")
    with path.open("rb") as stream:
        return _copy(_blocks(stream), "".join(path.suffixes[-2:]))


def _blocks(stream: Any) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block


def _copy(blocks: Iterable[bytes], suffix: str) -> Path:
    with tempfile.NamedTemporaryFile(prefix="headway-", suffix=suffix, delete=False) as spool:
        path = Path(spool.name)
        atexit.register(path.unlink, missing_ok=True)
        spool.writelines(blocks)
    return path


def _matches(pattern: str) -> list[InputFile]:
    if pattern == STANDARD_INPUT:
        return [InputFile(_STANDARD_INPUT_NAME, standard_input(), is_stream=True)]
    try:
        return _files(pattern, Path(pattern).expanduser())
    except (OSError, RuntimeError, ValueError) as error:  # no home, a name too long, a folder that is closed
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot be read ({reason})", shown(pattern, 200)) from error


def _files(pattern: str, path: Path) -> list[InputFile]:
    if path.is_dir():
        raise DataError(f"is a folder; name its files, for example '{path}/*.txt'", path)
    if path.parent in DESCRIPTORS:
        return [InputFile(pattern, pipe(path), is_stream=True)]
    if path.exists():
        return [_regular(InputFile(pattern, path))]
    if glob.has_magic(pattern):
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 (absolute ones too)
        files = [_regular(InputFile(str(name), name)) for name in found if not name.is_dir()]
        if not files:
            raise DataError("no file matches this pattern", pattern)
        return files
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, n=1)
    raise DataError("there is no such file" + (f"; did you mean {near[0]!r}?" if near else ""), pattern)


def _regular(file: InputFile) -> InputFile:
    """The file. Raises DataError for what has no end, or nobody who writes into it."""
    if not may_be_read(file.path):
        raise DataError(
            'is no file but a device or a named pipe; to read what a program writes, give "-" or <(…)',
            file.name,
        )
    return file


def _line(number: int, block: bytes, max_characters: int, cut: bool) -> Line:
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError as error:
        if not cut:
            wide = block.startswith((b"\xff\xfe", b"\xfe\xff"))
            hint = "looks like UTF-16; save it as UTF-8" if wide else "text must be UTF-8"
            return Line(
                number, "", f"undecodable byte: 0x{block[error.start]:02X} at byte {error.start + 1} ({hint})"
            )
        text = ""
    if cut or len(text.rstrip("\r\n")) > max_characters:
        return Line(
            number,
            "",
            f"overlong line: more than max_characters = {max_characters}; give more if it is right",
        )
    return Line(number, text)


class _Frame(Protocol):
    """What unpacks one compressed part of a file."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Unpacked(io.RawIOBase):
    """Reads compressed parts one after another, in bounded memory.

    Unlike the libraries' readers it refuses a file cut short, and one with something else behind its end.
    """

    def __init__(self, file: BinaryIO, begin: Callable[[], _Frame]) -> None:
        self._file, self._begin = file, begin
        self._ready = memoryview(b"")
        self._started = False
        self._frame = begin()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview[int]", /) -> int:  # type: ignore[override]
        while not self._ready:
            block = b""
            if self._frame.eof:
                block = self._frame.unused_data.lstrip(b"\0")  # .xz may be filled up with zeros
                self._frame = self._begin()
                self._started = False
            block = block or self._file.read(_SMALL_BLOCK)
            if not block and self._started:
                raise EOFError("the compressed data ends before its end mark")
            if not block:
                return 0
            self._started = True
            self._ready = memoryview(self._frame.decompress(block))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
