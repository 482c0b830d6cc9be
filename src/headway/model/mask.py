"""Which keys each query may see, as facts. Axes: B rows, T queries, S keys; b is B or 1."""

from dataclasses import dataclass
from functools import reduce
from operator import and_

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class AttentionMask:
    """Five facts that a backend turns into what its kernel wants (Paper §3.2.3).

    A query sees the keys of its own segment; without query segments every query belongs to the one document
    of its row and sees all keys but padding (segment 0). A padding query sees everything it could: its output
    is never read, and no softmax row is ever empty.
    """

    causal: bool = False
    offset: int | Int[Tensor, "B"] = 0
    """Index, among the keys, of the first query; one number, or one a row."""
    query_segments: Int[Tensor, "B T"] | None = None
    key_segments: Int[Tensor, "B S"] | None = None
    window: int | None = None
    """A query sees keys at most so many places away; None = however far."""

    def dense(self, queries: int, keys: int, device: torch.device) -> Bool[Tensor, "b 1 t S"] | None:
        """The visibility matrix (t is `queries`, or 1 where all see the same); None if all see all."""
        facts = []
        if self.causal or self.window is not None:
            distances = self.distances(queries, keys, device)
            if self.causal:
                facts.append(distances <= 0)
            if self.window is not None:
                facts.append(distances.abs() <= self.window)
        if self.key_segments is not None:
            k = self.key_segments[:, None, None, :]
            if self.query_segments is None:
                facts.append(k != 0)
            else:
                q = self.query_segments[:, None, :, None]
                facts.append((q == k) | (q == 0))
        return reduce(and_, facts) if facts else None

    def distances(self, queries: int, keys: int, device: torch.device) -> Int[Tensor, "b 1 T S"]:
        """How many places behind each query each key stands; negative where it stands before."""
        first = torch.as_tensor(self.offset, device=device).reshape(-1, 1, 1, 1)
        places = first + torch.arange(queries, device=device)[:, None]
        return torch.arange(keys, device=device) - places
