"""A text in pools, which are planned one at a time: so the plan of an epoch takes little memory."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Integer

from headway.data.keyed_random import Draw, keyed_order

POOL_PIECES = 1 << 20
"""A text that makes no more pieces of text than this is one pool; another one has pools of about as many."""
BLOCK = 64
"""So many neighbours in the text are in one pool together."""


@dataclass(frozen=True)
class Pools:
    """Which examples are planned together: whole blocks of neighbours, in an order of blocks."""

    examples: int
    blocks: Integer[np.ndarray, " k"]
    bounds: Int64[np.ndarray, " bounds"]
    """Pool p holds the blocks from `bounds[p]` up to `bounds[p + 1]`."""

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def members(self, pool: int) -> Integer[np.ndarray, " n"]:
        """The examples of a pool, in the order of the text."""
        blocks = np.sort(self.blocks[self.bounds[pool] : self.bounds[pool + 1]])
        members = (blocks[:, None] * BLOCK + np.arange(BLOCK)).reshape(-1)
        return members[: np.searchsorted(members, self.examples)]


def divide(starts: Int64[np.ndarray, " starts"], room: int | None, shuffle: tuple[int, int] | None) -> Pools:
    """Pools of about as many pieces each; `starts` says where each example begins, and the last one ends.

    Examples are cut into pieces of `room` tokens, or for None not at all. shuffle: the key (seed, epoch) of
    the order of the blocks, or None for that of the text.
    """
    examples = len(starts) - 1
    edges = np.append(np.arange(0, examples, BLOCK), examples)
    pieces = np.diff(edges)
    if room is not None:
        pieces = pieces + np.diff(starts[edges]) // room
    total = int(pieces.sum())
    if shuffle is None:
        order = np.arange(len(pieces))
    else:
        order = keyed_order(*shuffle, Draw.BLOCK_ORDER, len(pieces))
    pieces = pieces[order]
    pool_of = (np.cumsum(pieces) - pieces) * -(-total // POOL_PIECES) // max(total, 1)
    bounds = np.append(np.flatnonzero(np.diff(pool_of, prepend=-1)), len(order))
    return Pools(examples, order, bounds)
