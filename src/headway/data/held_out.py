"""Which examples of the training files are validation, by their number: found in one pass and kept."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headway.data.corpus import Record
from headway.data.split import choose_groups, group_of

BLOCK = 1 << 18
Numbers = npt.NDArray[np.int64]


def read_numbers(path: Path) -> Numbers | None:
    """The numbers in a file of `write_numbers`; None where there is none, or one that is damaged."""
    try:
        numbers = np.fromfile(path, dtype="<i8")
        whole = path.stat().st_size == numbers.nbytes
    except OSError:
        return None
    rising = bool((np.diff(numbers, prepend=-1) > 0).all())
    return numbers if whole and rising else None


def write_numbers(path: Path, numbers: Numbers) -> None:
    """Writes the file whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    numbers.astype("<i8").tofile(beside)
    beside.replace(path)


def choose(
    records: Callable[[], Iterator[Record]], share: float, seed: int, place: str, spool: Path
) -> Numbers:
    """The numbers of examples to hold out, about `share` of them, in rising order.

    Hashes of all examples wait in the file `spool`, 8 bytes each, until it is known which to take.
    """
    with spool.open("wb") as file:
        groups = _spooled((group_of(record, seed) for record in records()), file)
        held = choose_groups(groups, share, place)
    try:
        return _numbers_of(np.array(sorted(held), dtype=np.uint64), _hashes(spool))
    finally:
        spool.unlink()


def find(records: Iterable[Record], groups: frozenset[int], seed: int) -> Numbers:
    """The numbers of the examples that belong to one of the groups."""
    found = (number for number, record in enumerate(records) if group_of(record, seed) in groups)
    return np.fromiter(found, dtype=np.int64)


def marked(records: Iterable[Record], held: Numbers) -> Iterator[tuple[bool, Record]]:
    """Each example, and whether its number is one of those, which rise."""
    waiting = iter(held.tolist())
    upcoming = next(waiting, -1)
    for number, record in enumerate(records):
        inside = number == upcoming
        if inside:
            upcoming = next(waiting, -1)
        yield inside, record


def _spooled(groups: Iterator[int], file: Any) -> Iterator[int]:
    """The groups, which are also written to the file."""
    block: list[int] = []
    for group in groups:
        block.append(group)
        if len(block) == BLOCK:
            np.array(block, dtype="<u8").tofile(file)
            block.clear()
        yield group
    np.array(block, dtype="<u8").tofile(file)


def _hashes(spool: Path) -> Iterator[npt.NDArray[np.uint64]]:
    with spool.open("rb") as file:
        while len(block := np.fromfile(file, dtype="<u8", count=BLOCK)):
            yield block


def _numbers_of(groups: npt.NDArray[np.uint64], blocks: Iterator[npt.NDArray[np.uint64]]) -> Numbers:
    found = [np.flatnonzero(np.isin(block, groups)) + BLOCK * number for number, block in enumerate(blocks)]
    return np.concatenate(found)
