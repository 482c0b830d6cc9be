"""Hashes of stretches of tokens, and a search for some among many. Axes: n tokens, k stretches."""

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Int64, Integer, UInt64

FACTOR = 0x9E3779B97F4A7C15
"""Odd, so that it has an inverse among 64-bit numbers."""

FILTER = 22
"""Bits of a hash by which most are passed over without a search."""


class TokenHashes:
    """A 64-bit hash of any stretch of tokens, the same wherever it stands: Σ random(token i) · factor^i."""

    def __init__(self, vocabulary: int, longest: int) -> None:
        """`longest`: how many tokens are given at a time at most."""
        random = np.random.default_rng(0)
        self._random = random.integers(1 << 64, size=vocabulary, dtype=np.uint64)
        self._powers = _powers(FACTOR, longest)
        self._inverse = _powers(pow(FACTOR, -1, 1 << 64), longest)

    def of(
        self,
        ids: Integer[np.ndarray, " n"],
        starts: Integer[np.ndarray, " k"],
        stops: Integer[np.ndarray, " k"],
    ) -> UInt64[np.ndarray, " k"]:
        """The hash of ids[start:stop] for each stretch."""
        sums = np.zeros(len(ids) + 1, dtype=np.uint64)
        np.cumsum(self._random[ids] * self._powers[: len(ids)], out=sums[1:])
        found: npt.NDArray[np.uint64] = (sums[stops] - sums[starts]) * self._inverse[starts]
        return found


class Sought:
    """Hashes that are looked for among others."""

    def __init__(self, keys: UInt64[np.ndarray, " k"]) -> None:
        self._keys = keys
        self._sorted = np.unique(keys)
        self._seen = np.zeros(len(self._sorted), dtype=np.bool_)
        self._may_be = np.zeros(1 << FILTER, dtype=np.bool_)
        self._may_be[self._cells(self._sorted)] = True
        self.first: tuple[int, int] | None = None
        """Which of the keys was found first, and the number of that hash among all that were looked at."""
        self._looked = 0

    def look(self, hashes: UInt64[np.ndarray, " n"]) -> None:
        """Marks those of the keys that are among the hashes."""
        near = np.flatnonzero(self._may_be[self._cells(hashes)])
        places = np.searchsorted(self._sorted, hashes[near]).clip(max=len(self._sorted) - 1)
        same = self._sorted[places] == hashes[near]
        self._seen[places[same]] = True
        if self.first is None and same.any():
            place = int(near[same][0])
            self.first = (int(np.flatnonzero(self._keys == hashes[place])[0]), self._looked + place)
        self._looked += len(hashes)

    @property
    def found(self) -> Bool[np.ndarray, " k"]:
        """Whether each key was found."""
        return self._seen[np.searchsorted(self._sorted, self._keys)]

    @staticmethod
    def _cells(hashes: UInt64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        return (hashes >> np.uint64(64 - FILTER)).astype(np.int64)


def _powers(factor: int, count: int) -> UInt64[np.ndarray, " n"]:
    factors = np.full(count + 1, factor, dtype=np.uint64)
    factors[0] = 1
    return np.cumprod(factors)
