"""Which examples are held out for validation: by the text of the source, so duplicates never straddle."""

import hashlib
import heapq
from collections.abc import Iterable

from headway.data.corpus import MOST_HELD_OUT, Record
from headway.errors import DataError
from headway.text.normalize import same_text_key


def group_of(record: Record, seed: int = 0) -> int:
    """A 64-bit hash of the source, or of a document: equal for duplicates, different for each seed."""
    return _hash(record.target if record.source is None else record.source, seed)


def example_hash(record: Record) -> int:
    """A 64-bit hash of the whole example: equal where source and target are the same."""
    return _hash(f"{record.source or ''}\t{record.target}", 0)


def choose_held_out(records: Iterable[Record], share: float, seed: int, place: str) -> frozenset[int]:
    """The groups to hold out, about `share` of the examples: at least one, at most 5,000.

    Raises a DataError that names `place` where all examples are one group, which cannot be divided.
    """
    return choose_groups((group_of(record, seed) for record in records), share, place)


def choose_groups(groups: Iterable[int], share: float, place: str) -> frozenset[int]:
    """As `choose_held_out`, from the group of each example.

    Groups are taken whole, in the order of their hashes, so the choice depends on text and seed alone. One
    pass, and memory for no more than 10,000 groups.
    """
    most = 2 * MOST_HELD_OUT
    counts: dict[int, int] = {}
    largest_first: list[int] = []
    total = 0
    for group in groups:
        total += 1
        if group in counts:
            counts[group] += 1
        elif len(counts) < most:
            counts[group] = 1
            heapq.heappush(largest_first, -group)
        elif group < -largest_first[0]:
            # The largest goes for good: whatever comes back later is larger than all that are kept.
            del counts[-heapq.heapreplace(largest_first, -group)]
            counts[group] = 1
    if len(counts) < 2:
        what = "holds one example" if total == 1 else f"holds {total:,} examples of one and the same text"
        raise DataError(f"{what}, of which none can be held out: give a validation file (data.valid)", place)
    return _fill(counts, max(1, min(round(total * share), MOST_HELD_OUT, total - 1)))


def _fill(counts: dict[int, int], wanted: int) -> frozenset[int]:
    """Groups in the order of their hashes as long as they fit; if none does, the smallest."""
    held: set[int] = set()
    for group in sorted(counts):
        if counts[group] <= wanted:
            held.add(group)
            wanted -= counts[group]
    return frozenset(held or {min(counts, key=lambda group: (counts[group], group))})


def _hash(text: str, seed: int) -> int:
    key = (seed % 2**64).to_bytes(8, "little")
    digest = hashlib.blake2b(same_text_key(text).encode(), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "little")
