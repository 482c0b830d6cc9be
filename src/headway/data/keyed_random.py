"""Random numbers that are a function of a key, so that no order of asking and no other asker changes them."""

from enum import IntEnum

import numpy as np
from jaxtyping import Float, Integer, UInt64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_WORD = (1 << 64) - 1
_BLOCK = 1 << 16
"""How many numbers are drawn at a time, so that what lies between them and the key takes no memory."""


class Draw(IntEnum):
    """What a number is drawn for: draws of two kinds never share one."""

    EXAMPLE_ORDER = 0
    BATCH_ORDER = 1
    CHUNK_BORDER = 2
    MASK_CHOICE = 3
    MASK_KIND = 4
    MASK_TOKEN = 5
    DROPOUT = 6
    BLOCK_ORDER = 7


def keyed_bits(
    seed: int, epoch: int, draw: Draw, *keys: Integer[np.ndarray, " n"]
) -> UInt64[np.ndarray, " n"]:
    """64 random bits for each place of the keys; equal keys get equal bits on every machine, for ever."""
    bits = np.zeros(1, dtype=np.uint64)
    for number in (seed, epoch, int(draw)):
        bits = _mix(bits, np.array([number & _WORD], dtype=np.uint64))
    for key in keys:
        bits = _mix(bits, key.astype(np.uint64))
    return bits


def keyed_uniform(
    seed: int, epoch: int, draw: Draw, *keys: Integer[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Numbers spread evenly over [0, 1), one for each place of the keys."""
    bits = keyed_bits(seed, epoch, draw, *keys)
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53)


def keyed_order(seed: int, epoch: int, draw: Draw, count: int, part: int = 0) -> Integer[np.ndarray, " n"]:
    """A random order of 0 … count-1 (below 2^32), another one for each part."""
    bits = np.empty(count, dtype=np.uint64)
    for start in range(0, count, _BLOCK):
        some = np.arange(start, min(start + _BLOCK, count))
        bits[start : start + _BLOCK] = keyed_bits(seed, epoch, draw, some + (part << 32))
    return np.argsort(bits, kind="stable")


def _mix(state: UInt64[np.ndarray, "..."], key: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """One draw of SplitMix64 (Steele, Lea, Flood 2014), `key` steps of the golden ratio after `state`."""
    bits = state + (key + np.uint64(1)) * _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))
