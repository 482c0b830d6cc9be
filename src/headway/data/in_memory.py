"""Encoded text that needs no file."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Integer


@dataclass(frozen=True)
class InMemory:
    """Examples as a loader reads them; ids hold no special tokens."""

    targets: Sequence[Integer[np.ndarray, " _"]]
    sources: Sequence[Integer[np.ndarray, " _"]] | None = None

    @property
    def lengths(self) -> Int64[np.ndarray, " N"]:
        return np.array([len(ids) for ids in self.targets], dtype=np.int64)

    @property
    def source_lengths(self) -> Int64[np.ndarray, " N"] | None:
        return None if self.sources is None else np.array([len(ids) for ids in self.sources], dtype=np.int64)

    @property
    def lines(self) -> Int64[np.ndarray, " N"]:
        return np.arange(1, len(self) + 1)

    def __len__(self) -> int:
        return len(self.targets)

    def ids(self, index: int, /) -> Integer[np.ndarray, " n"]:
        return self.targets[index]

    def source(self, index: int, /) -> Integer[np.ndarray, " m"] | None:
        return None if self.sources is None else self.sources[index]
