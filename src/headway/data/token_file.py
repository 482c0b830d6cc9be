"""Encoded text on disk, mapped into memory: as much as the disk holds, opened in no time.

One file: MAGIC; the header's length and CRC-32 (8 bytes each, little-endian as all numbers); the header, in
JSON; then arrays, each at a multiple of 64 bytes: `ids` (and `source_ids`) of all examples one after another,
uint16 where the vocabulary allows, else uint32; `starts` (and `source_starts`), int64 [N + 1], where each
example begins; `lines`, int64 [N].
"""

import json
import os
import shutil
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from jaxtyping import Int64, Integer

from headway.config import each_once, from_table
from headway.errors import DataError, UserError

MAGIC = b"HEADWAY TOKENS 1"
_SIZES = struct.Struct("<QQ")
_ALIGN = 64
_BLOCK = 1 << 22
_LARGEST_HEADER = 1 << 24
"""Bytes; what is larger is not read at all."""
_ABANDONED = 24 * 3600
"""Seconds after which a part that nobody writes to is of a process that was killed."""

Integers = npt.NDArray[np.integer[Any]] | Sequence[int]


class TokenFile:
    """Random access to encoded examples; ids hold no special tokens. The arrays must not be written to."""

    def __init__(self, path: Path, *, verify: bool = True) -> None:
        """Maps the file. A DataError says what is damaged; `verify` reads all of it once to be sure."""
        self.path = path
        try:
            header, start = _read_header(path)
            if verify:
                _verify(path, header, start)
            mapped = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
            self._arrays = {name: _view(mapped, start, entry) for name, entry in header.arrays.items()}
            for starts, ids in _STARTS.items():
                if starts in self._arrays:
                    _check_starts(self._arrays[starts], len(self._arrays[ids]))
        except RecursionError as error:
            raise DataError("is damaged or no token file (its header is nested too deeply)", path) from error
        except (OSError, ValueError, UserError) as error:
            raise DataError(f"is damaged or no token file ({error})", path) from error
        self.fingerprint = header.fingerprint
        self.about = header.about

    def __len__(self) -> int:
        return len(self.lines)

    def ids(self, index: int, /) -> Integer[np.ndarray, " n"]:
        """The ids of an example: of the target, or of a document."""
        return self._slice("ids", "starts", index)

    def source(self, index: int, /) -> Integer[np.ndarray, " m"] | None:
        """The ids of the source; None where there are no sources."""
        return self._slice("source_ids", "source_starts", index) if "source_ids" in self._arrays else None

    def check_ids(self, vocab_size: int, source_vocab_size: int | None) -> None:
        """Raises DataError unless all ids are below the sizes of the vocabularies; None: no sources."""
        sizes = {"ids": vocab_size} | ({} if source_vocab_size is None else {"source_ids": source_vocab_size})
        if ("source_ids" in sizes) != ("source_ids" in self._arrays):
            raise DataError("is damaged (it has sources, or has none)", self.path)
        for name, size in sizes.items():
            ids = self._arrays[name]
            if any(int(ids[at : at + _BLOCK].max()) >= size for at in range(0, len(ids), _BLOCK)):
                raise DataError(
                    f"is damaged (it holds tokens beyond the {size:,} of the vocabulary)", self.path
                )

    @property
    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name, as they lie in the file."""
        return self._arrays

    def counts(self, vocab_size: int, examples: int) -> Int64[np.ndarray, " V"]:
        """How often each id occurs in the ids of so many examples, from the first on."""
        end = int(self._arrays["starts"][min(examples, len(self))])
        counts = np.zeros(vocab_size, dtype=np.int64)
        for start in range(0, end, _BLOCK):
            counts += np.bincount(self._arrays["ids"][start : min(start + _BLOCK, end)], minlength=vocab_size)
        return counts

    @property
    def starts(self) -> Int64[np.ndarray, " starts"]:
        """Where in the ids of all each example begins, and after them where the last one ends."""
        return self._arrays["starts"]

    @property
    def source_starts(self) -> Int64[np.ndarray, " starts"] | None:
        """The same of the sources; None where there are none."""
        return self._arrays.get("source_starts")

    @property
    def lengths(self) -> Int64[np.ndarray, " N"]:
        """How many ids each example has, in new memory."""
        return np.diff(self.starts)

    @property
    def source_lengths(self) -> Int64[np.ndarray, " N"] | None:
        """How many ids each source has, in new memory; None where there are no sources."""
        return None if self.source_starts is None else np.diff(self.source_starts)

    @cached_property
    def longest(self) -> int:
        """How many ids the longest example has."""
        return _longest(self.starts)

    @cached_property
    def longest_source(self) -> int:
        """How many ids the longest source has; 0 where there are no sources."""
        return 0 if self.source_starts is None else _longest(self.source_starts)

    @property
    def lines(self) -> Int64[np.ndarray, " N"]:
        """On which line of its file each example begins, from 1."""
        return self._arrays["lines"]

    def _slice(self, ids: str, starts: str, index: int) -> Integer[np.ndarray, " n"]:
        if not 0 <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        begin, end = self._arrays[starts][index : index + 2]
        return self._arrays[ids][begin:end]


class TokenWriter:
    """Writes a token file as a stream: beside its place, and moved there when whole. Use it in a `with`."""

    def __init__(self, path: Path, vocab_size: int, source_vocab_size: int | None = None) -> None:
        self.path = path
        self.count = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._dtypes = {"ids": _id_type(vocab_size), "starts": np.dtype("<i8"), "lines": np.dtype("<i8")}
        if source_vocab_size is not None:
            self._dtypes |= {"source_ids": _id_type(source_vocab_size), "source_starts": np.dtype("<i8")}
        self._ends = {"starts": 0, "source_starts": 0}
        self._part = path.with_name(f"{path.name}.{os.getpid()}.part")
        for left_over in path.parent.glob(f"{path.name}.*.part"):
            if time.time() - left_over.stat().st_mtime > _ABANDONED:
                left_over.unlink(missing_ok=True)
        self._stack = ExitStack()
        self._columns = {name: self._open_column(name) for name in self._dtypes}
        for name in self._ends.keys() & self._dtypes.keys():
            self._append_number(name, 0)

    def __enter__(self) -> "TokenWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, ids: Integers, source: Integers | None, line: int) -> None:
        """One more example."""
        assert (source is not None) == ("source_ids" in self._dtypes), "sources for all examples or for none"
        self._add_ids("ids", "starts", ids)
        if source is not None:
            self._add_ids("source_ids", "source_starts", source)
        self._append_number("lines", line)
        self.count += 1

    def extend(self, file: TokenFile) -> None:
        """All examples of another file, which has the same kinds of columns."""
        assert file.columns.keys() == self._dtypes.keys(), "sources for all examples or for none"
        for name, values in file.columns.items():
            starts = name in self._ends
            for at in range(1 if starts else 0, len(values), _BLOCK):
                block = values[at : at + _BLOCK] + (self._ends[name] if starts else 0)
                self._columns[name].write(block.astype(self._dtypes[name]).tobytes())
            if starts:
                self._ends[name] += int(values[-1])
        self.count += len(file)

    def finish(self, fingerprint: str, about: dict[str, Any] | None = None) -> None:
        """Puts the columns together and the file in its place."""
        arrays: dict[str, dict[str, Any]] = {}
        position, checksum = 0, 0
        for name, column in self._columns.items():
            size = column.tell()
            arrays[name] = {"type": self._dtypes[name].str, "at": position, "bytes": size}
            column.write(bytes(-size % _ALIGN))
            position += size + -size % _ALIGN
            checksum = _checksum(column, checksum)
        header = {"fingerprint": fingerprint, "about": about or {}, "arrays": arrays}
        content = json.dumps(header | {"bytes": position, "crc32": checksum}).encode()
        content += b" " * (-(len(MAGIC) + _SIZES.size + len(content)) % _ALIGN)
        try:
            with self._part.open("wb") as file:
                file.write(MAGIC + _SIZES.pack(len(content), zlib.crc32(content)) + content)
                for column in self._columns.values():
                    column.seek(0)
                    shutil.copyfileobj(column, file, _BLOCK)
                file.flush()
                os.fsync(file.fileno())  # its name must not reach the disk before it
            self._part.replace(self.path)
        finally:
            self._part.unlink(missing_ok=True)

    def _open_column(self, name: str) -> BinaryIO:
        path = self._part.with_suffix(f".{name}.part")
        self._stack.callback(path.unlink, missing_ok=True)
        return self._stack.enter_context(path.open("w+b", buffering=1 << 16))

    def _add_ids(self, ids: str, starts: str, values: Integers) -> None:
        self._columns[ids].write(np.asarray(values, dtype=self._dtypes[ids]).tobytes())
        self._ends[starts] += len(values)
        self._append_number(starts, self._ends[starts])

    def _append_number(self, name: str, value: int) -> None:
        self._columns[name].write(value.to_bytes(8, "little"))


def _id_type(vocab_size: int) -> np.dtype[Any]:
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


_TYPES = {
    "ids": ("<u2", "<u4"),
    "starts": ("<i8",),
    "lines": ("<i8",),
    "source_ids": ("<u2", "<u4"),
    "source_starts": ("<i8",),
}
_TARGET = {"ids", "starts", "lines"}


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """Where an array lies, counted from the header's end."""

    type: str
    at: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class _Header:
    fingerprint: str
    about: dict[str, Any]
    arrays: dict[str, _Entry]
    bytes: int
    crc32: int

    def __post_init__(self) -> None:
        if self.arrays.keys() not in (_TARGET, _TYPES.keys()):
            raise ValueError("it has other arrays than a token file")
        position = 0
        for name, entry in self.arrays.items():
            if entry.type not in _TYPES[name] or entry.bytes < 0 or entry.bytes % int(entry.type[-1]):
                raise ValueError(f"{name} is of another type or size")
            if entry.at != position:
                raise ValueError(f"{name} lies elsewhere")
            position += entry.bytes + -entry.bytes % _ALIGN
        if self.bytes != position:
            raise ValueError("its arrays have another size than it says")
        if any(self._count(name) != self._count("lines") + 1 for name in self.arrays if name in _STARTS):
            raise ValueError("its arrays are of different numbers of examples")

    def _count(self, name: str) -> int:
        return self.arrays[name].bytes // 8


_STARTS = {"starts": "ids", "source_starts": "source_ids"}


def _read_header(path: Path) -> tuple[_Header, int]:
    """The header, and where the arrays start."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError("it does not begin as one")
        sizes = file.read(_SIZES.size)
        length, checksum = _SIZES.unpack(sizes) if len(sizes) == _SIZES.size else (0, -1)
        content = file.read(min(length, _LARGEST_HEADER))
    if len(content) != length or zlib.crc32(content) != checksum:
        raise ValueError("its header is cut short or changed")
    start = len(MAGIC) + _SIZES.size + length
    header = from_table(_Header, _table(content), finite=False)
    if path.stat().st_size != start + header.bytes:
        raise ValueError(f"{path.stat().st_size:,} bytes instead of {start + header.bytes:,}")
    return header, start


def _table(content: bytes) -> dict[str, Any]:
    table = json.loads(content, object_pairs_hook=each_once)
    if not isinstance(table, dict):
        raise ValueError("its header is no JSON object")
    return table


def _verify(path: Path, header: _Header, start: int) -> None:
    with path.open("rb") as file:
        if _checksum(file, 0, start) != header.crc32:
            raise ValueError("its content has changed since it was written")


def _check_starts(starts: Int64[np.ndarray, " starts"], ids: int) -> None:
    """Raises ValueError unless examples follow each other from the first id to the last."""
    rising = all(bool((np.diff(block) >= 0).all()) for block in _overlapping(starts))
    if not rising or starts[0] != 0 or starts[-1] != ids:
        raise ValueError("its examples do not follow each other")


def _overlapping(starts: Int64[np.ndarray, " starts"]) -> Iterator[Int64[np.ndarray, " some"]]:
    """Runs of the numbers, each with the first one of the next."""
    for at in range(0, len(starts) - 1, _BLOCK):
        yield starts[at : at + _BLOCK + 1]


def _longest(starts: Int64[np.ndarray, " starts"]) -> int:
    return max((int(np.diff(block).max()) for block in _overlapping(starts)), default=0)


def _checksum(file: BinaryIO, value: int, start: int = 0) -> int:
    """The CRC-32 of the rest of a file, continued from `value`."""
    file.seek(start)
    while block := file.read(_BLOCK):
        value = zlib.crc32(block, value)
    return value


def _view(mapped: npt.NDArray[np.uint8], start: int, entry: _Entry) -> npt.NDArray[Any]:
    begin = start + entry.at
    return mapped[begin : begin + entry.bytes].view(np.dtype(entry.type))
