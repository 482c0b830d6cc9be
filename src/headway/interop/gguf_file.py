"""GGUF files read strictly: a damaged or hostile one is refused by what is wrong in it, and costs nothing."""

import struct
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headway.errors import FolderError, UserError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_ENTRIES = 2**16
"""More settings or tensors than any real file has."""
MOST_ITEMS = 2**22
"""More than any real list in a setting has."""
MOST_AXES = 4
ALIGNMENT = "general.alignment"

Bytes = npt.NDArray[np.uint8]

SCALARS = {
    0: "u1",
    1: "i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
STRING, ARRAY = 8, 9
"""Numbers of the types of settings; those of SCALARS by what NumPy calls them."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as it lies in the file."""

    name: str
    shape: tuple[int, ...]
    """Rows first, as in torch."""
    kind: int
    """The number of the type of its numbers."""
    content: Bytes

    def numbers(self) -> npt.NDArray[np.float32]:
        """Its numbers in float32. Raises FolderError for a type that no code here unpacks."""
        gguf = need_gguf()
        try:
            kind = gguf.GGMLQuantizationType(self.kind)
            rows = self.content.reshape(*self.shape[:-1], -1)
            found = gguf.quants.dequantize(rows, kind)
        except (NotImplementedError, ValueError) as error:
            raise FolderError(f"the tensor {self.name!r} is of a type not known here: {error}") from error
        return np.array(found, dtype=np.float32).reshape(self.shape)  # the file stays as it is


@dataclass(frozen=True)
class GgufFile:
    """What a file holds. `settings`: numbers, strings, truth values, and lists of these."""

    settings: dict[str, Any]
    tensors: dict[str, StoredTensor]


def need_gguf() -> Any:
    """The package. Raises UserError if it is not installed."""
    try:
        import gguf
        import gguf.quants
    except ImportError as error:
        raise UserError("this needs the package gguf: pip install 'headway[interop]'") from error
    return gguf


def read_file(path: Path) -> GgufFile:
    """All settings, and where the tensors lie. Raises FolderError, without the file's name."""
    if path.stat().st_size < len(MAGIC):
        raise FolderError("is no GGUF file: it is too short")
    reader = _Reader(np.memmap(path, dtype=np.uint8, mode="r").view(np.ndarray))
    if bytes(reader.take(4)) != MAGIC:
        raise FolderError("is no GGUF file: it does not begin with GGUF")
    version = reader.number("<u4")
    if version not in VERSIONS:
        raise FolderError(f"is of GGUF version {version}; known here are {VERSIONS}")
    tensor_count, setting_count = reader.count("tensors"), reader.count("settings")
    settings: dict[str, Any] = {}
    for _ in range(setting_count):
        name = reader.string()
        if name in settings:
            raise FolderError(f"the setting {name!r} stands twice")
        settings[name] = reader.value(reader.number("<u4"), name)
    tensors = [_described(reader) for _ in range(tensor_count)]
    return GgufFile(settings, _placed(reader, settings, tensors))


class _Reader:
    """Takes what comes next, never beyond the end."""

    def __init__(self, content: Bytes) -> None:
        self.content, self.at = content, 0

    def take(self, size: int) -> Bytes:
        if size > len(self.content) - self.at:
            raise FolderError("is cut off: it ends inside its header")
        self.at += size
        return self.content[self.at - size : self.at]

    def number(self, kind: str) -> Any:
        return np.frombuffer(self.take(np.dtype(kind).itemsize), dtype=kind)[0].item()

    def count(self, what: str) -> int:
        found: int = self.number("<u8")
        if found > MOST_ENTRIES:
            raise FolderError(f"says that it has {found:,} {what}; at most {MOST_ENTRIES:,} are read")
        return found

    def string(self) -> str:
        content = bytes(self.take(self.number("<u8")))
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FolderError(f"holds a text that is not UTF-8: {content[:40]!r}") from error

    def value(self, kind: int, name: str) -> Any:
        if kind in SCALARS:
            return self.number(SCALARS[kind])
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            raise FolderError(f"the setting {name!r} is of type {kind}, which GGUF does not have")
        inner, length = self.number("<u4"), self.number("<u8")
        if inner in SCALARS:
            numbers = self.take(length * np.dtype(SCALARS[inner]).itemsize)
            _refuse_long(name, length)
            return np.frombuffer(numbers, dtype=SCALARS[inner]).tolist()
        if inner != STRING:
            raise FolderError(f"the setting {name!r} is a list of type {inner}, which is not read here")
        if length * struct.calcsize("<Q") > len(self.content) - self.at:
            raise FolderError(f"is cut off: the setting {name!r} has fewer than {length:,} texts")
        _refuse_long(name, length)
        return [self.string() for _ in range(length)]


def _refuse_long(name: str, length: int) -> None:
    if length > MOST_ITEMS:
        raise FolderError(f"the setting {name!r} has {length:,} items; at most {MOST_ITEMS:,} are read")


@dataclass(frozen=True)
class _Description:
    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


def _described(reader: _Reader) -> _Description:
    name = reader.string()
    axes: int = reader.number("<u4")
    if not 1 <= axes <= MOST_AXES:
        raise FolderError(f"the tensor {name!r} has {axes} axes; from 1 to {MOST_AXES} are possible")
    lengths = [reader.number("<u8") for _ in range(axes)]
    if min(lengths) < 1:
        raise FolderError(f"the tensor {name!r} has an axis of no length")
    return _Description(name, tuple(reversed(lengths)), reader.number("<u4"), reader.number("<u8"))


def _placed(
    reader: _Reader, settings: dict[str, Any], described: list[_Description]
) -> dict[str, StoredTensor]:
    alignment = settings.get(ALIGNMENT, 32)
    if type(alignment) is not int or not 1 <= alignment <= MOST_ENTRIES:
        raise FolderError(f"the setting {ALIGNMENT!r} is {alignment!r}; a number of bytes is expected")
    begin = -(-reader.at // alignment) * alignment
    tensors: dict[str, StoredTensor] = {}
    for each in described:
        start = begin + each.offset
        stop = start + _size(each)
        if each.name in tensors:
            raise FolderError(f"the tensor {each.name!r} stands twice")
        if each.offset % alignment or stop > len(reader.content):
            raise FolderError(f"is cut off or damaged: the tensor {each.name!r} does not lie inside it")
        content = reader.content[start:stop]
        tensors[each.name] = StoredTensor(each.name, each.shape, each.kind, content)
    _refuse_overlap([(each.offset, _size(each), each.name) for each in described])
    return tensors


def _refuse_overlap(places: list[tuple[int, int, str]]) -> None:
    """Tensors that share their numbers would take more room than the file."""
    places.sort()
    for (start, size, first), (after, _, second) in pairwise(places):
        if start + size > after:
            raise FolderError(f"is damaged: the tensors {first!r} and {second!r} lie over one another")


def _size(tensor: _Description) -> int:
    """Bytes of a tensor. Raises FolderError for a type that is not known."""
    gguf = need_gguf()
    sizes = {int(kind): blocks for kind, blocks in gguf.GGML_QUANT_SIZES.items()}
    if tensor.kind not in sizes:
        raise FolderError(f"the tensor {tensor.name!r} is of type {tensor.kind}, which is not known here")
    numbers, size = sizes[tensor.kind]
    if tensor.shape[-1] % numbers:
        raise FolderError(f"the tensor {tensor.name!r} has rows that are no whole blocks of {numbers}")
    return prod(tensor.shape) // numbers * int(size)
