"""A bounded sample of training text, spread over its files, and what share of the text it is."""

import tempfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headway.data.corpus import DataConfig, Record, read_records
from headway.data.input_files import COMPRESSED, InputFile, input_files, open_binary
from headway.data.layout import Layout, decide_layout

WHOLE = 6_000_000
"""Bytes up to which all of a text is read."""
SAMPLED = 4_000_000
"""Bytes that are read of a text that is larger."""
PLACES = 24
"""Parts of a large file that are read, evenly spread."""
MOST_FILES = 500
"""Files that are looked into where each is a document."""


@dataclass(frozen=True)
class Sample:
    """Examples of a text, and what share of it they are."""

    records: list[Record]
    layout: Layout
    share: float = 1.0
    """Of the text, in bytes; 1 = it was read whole."""


def sample_of(data: DataConfig, pairs: bool) -> Sample:
    """All examples of a small text, of a large one some from all parts of it.

    Of parallel and of packed files it is their beginning. Raises what reading raises for a text that is read
    whole; of a sample, bad lines are left out.
    """
    layout, _ = decide_layout(data.layout, data.train, pairs)
    files = input_files(data.train)
    packed = any(file.path.suffix in COMPRESSED for file in files)
    size = sum(file.path.stat().st_size for file in files)
    if size <= (WHOLE // 4 if packed else WHOLE):
        return Sample(list(read_records(data, data.train, pairs)), layout)
    data = replace(data, bad_lines="skip", layout=layout)
    if layout == "file":
        chosen = files[:: -(-len(files) // MOST_FILES)]
        read = sum(file.path.stat().st_size for file in chosen)
        return Sample(list(read_records(data, [str(f.path) for f in chosen], pairs)), layout, read / size)
    if layout == "parallel" or packed:
        records = _beginning(read_records(data, data.train, pairs))
        read = sum(map(_bytes_of, records))
        unpacked = size / _packed_share(records) if packed else size
        return Sample(records, layout, min(1.0, read / unpacked))
    with tempfile.TemporaryDirectory(prefix="headway-") as folder:
        names, read = _write_parts(files, size, Path(folder))
        return Sample(list(read_records(data, names, pairs)), layout, read / size)


def _beginning(records: Iterable[Record]) -> list[Record]:
    """Examples, until they have `SAMPLED` bytes."""
    some, read = [], 0
    for record in records:
        some.append(record)
        read += _bytes_of(record)
        if read >= SAMPLED:
            break
    return some


def _bytes_of(record: Record) -> int:
    """About what an example takes in its file."""
    sides = (record.source, record.target)
    return sum(len(side.encode("utf-8", "replace")) + 1 for side in sides if side is not None)


def _packed_share(records: Sequence[Record]) -> float:
    """How many bytes a byte of this text takes in a packed file, about."""
    text = "\n".join(f"{record.source or ''}\t{record.target}" for record in records[:20_000])
    raw = text[:2_000_000].encode("utf-8", "replace")
    return len(zlib.compress(raw)) / max(1, len(raw))


def _write_parts(files: Sequence[InputFile], size: int, folder: Path) -> tuple[list[str], int]:
    """Files that hold whole lines from places all over the files, and how many bytes those are."""
    names, read = [], 0
    for number, file in enumerate(files):
        path, own = folder / f"{number}{file.suffix}", file.path.stat().st_size
        blocks = list(_spread(file.path, own, max(PLACES, SAMPLED * own // size)))
        path.write_bytes(b"".join(blocks))
        names.append(str(path))
        read += sum(map(len, blocks))
    return names, read


def _spread(path: Path, size: int, most: int) -> Iterable[bytes]:
    each = most // PLACES
    with open_binary(path) as stream:
        for place in range(PLACES):
            stream.seek(place * size // PLACES)
            if place:
                stream.readline(each)  # the rest of a line that began before
            block = stream.read(each)
            block += stream.readline(each)
            yield block if block.endswith(b"\n") else block + b"\n"
