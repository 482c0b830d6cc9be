"""Batches that several threads decode at once, each with its share of the cores.

A step is many small operations, which the threads of one batch share badly; batches share nothing.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

MOST = 4
"""Threads at most: what is done in Python is done by one at a time."""

Found = TypeVar("Found")


def workers(device: torch.device) -> int:
    """How many batches may be decoded at once."""
    return min(torch.get_num_threads(), MOST) if device.type == "cpu" else 1


def in_threads(work: Callable[[list[int]], Found], batches: Sequence[list[int]], count: int) -> list[Found]:
    """What the work makes of each batch, so many at once."""
    count = min(count, len(batches))
    if count < 2:
        return [work(batch) for batch in batches]
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(count, "decode", torch.set_num_threads, (threads // count,)) as pool:
            return list(pool.map(work, batches))
    finally:
        torch.set_num_threads(threads)  # of threads to come; this one has kept them
