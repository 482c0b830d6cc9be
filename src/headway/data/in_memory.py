"""Encoded text that needs no file."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int64, Integer


@dataclass(frozen=True)
class InMemory:
    """Examples as a loader reads them; ids hold no special tokens."""

    targets: Sequence[Integer[np.ndarray, " _"]]
    sources: Sequence[Integer[np.ndarray, " _"]] | None = None

    @cached_property
    def starts(self) -> Int64[np.ndarray, " starts"]:
        return _starts(self.targets)

    @cached_property
    def source_starts(self) -> Int64[np.ndarray, " starts"] | None:
        return None if self.sources is None else _starts(self.sources)

    @property
    def lines(self) -> Int64[np.ndarray, " N"]:
        return np.arange(1, len(self) + 1)

    def __len__(self) -> int:
        return len(self.targets)

    def ids(self, index: int, /) -> Integer[np.ndarray, " n"]:
        return self.targets[index]

    def source(self, index: int, /) -> Integer[np.ndarray, " m"] | None:
        return None if self.sources is None else self.sources[index]


def _starts(texts: Sequence[Integer[np.ndarray, " _"]]) -> Int64[np.ndarray, " starts"]:
    return np.cumsum([0, *map(len, texts)], dtype=np.int64)
