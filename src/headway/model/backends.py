"""Attention kernels (Paper §3.2.1, eq. 1). A backend binds a mask once per pass and returns `attend`.

Axes: B rows, T queries, S keys, H heads, K key/value heads, E size of a key, U size of a value.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from headway.model.mask import AttentionMask


@runtime_checkable
class Attend(Protocol):
    """softmax(q kᵀ / √E + bias) v, with mask and bias already bound (Paper eq. 1)."""

    def __call__(
        self, q: Float[Tensor, "B H T E"], k: Float[Tensor, "B K S E"], v: Float[Tensor, "B K S U"], /
    ) -> Float[Tensor, "B H T U"]: ...


@runtime_checkable
class Backend(Protocol):
    """Turns the facts of a mask, and a bias of the scores, into `attend` for so many queries and keys."""

    def __call__(
        self,
        mask: AttentionMask,
        bias: Float[Tensor, "b H T S"] | None,
        queries: int,
        keys: int,
        device: torch.device,
        /,
    ) -> Attend: ...


@dataclass(frozen=True)
class SdpaAttend:
    """PyTorch's fused kernel."""

    visible: Bool[Tensor, "b 1 t S"] | None
    is_causal: bool

    def __call__(
        self, q: Float[Tensor, "B H T E"], k: Float[Tensor, "B K S E"], v: Float[Tensor, "B K S U"], /
    ) -> Float[Tensor, "B H T U"]:
        grouped = q.shape[1] != k.shape[1]
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=self.visible, is_causal=self.is_causal, enable_gqa=grouped
        )


@dataclass(frozen=True)
class BiasedSdpaAttend:
    """The same kernel with what is added to the scores: a bias, or -inf for what is not visible."""

    bias: Float[Tensor, "b H T S"]

    def __call__(
        self, q: Float[Tensor, "B H T E"], k: Float[Tensor, "B K S E"], v: Float[Tensor, "B K S U"], /
    ) -> Float[Tensor, "B H T U"]:
        grouped = q.shape[1] != k.shape[1]
        bias = self.bias.to(q.dtype)  # as the kernel wants it
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, enable_gqa=grouped)


@dataclass(frozen=True)
class BlockedAttend:
    """The same kernel for a block of queries at a time, with the keys that they may see: linear memory."""

    mask: AttentionMask

    def __call__(
        self, q: Float[Tensor, "B H T E"], k: Float[Tensor, "B K S E"], v: Float[Tensor, "B K S U"], /
    ) -> Float[Tensor, "B H T U"]:
        found = []
        for start in range(0, q.shape[2], BLOCK):
            block = slice(start, min(start + BLOCK, q.shape[2]))
            keys, mask = _of_block(self.mask, block, k.shape[2])
            visible = mask.dense(block.stop - start, keys.stop - keys.start, q.device)
            attend = SdpaAttend(visible, is_causal=False)
            found.append(attend(q[:, :, block], k[:, :, keys], v[:, :, keys]))
        return torch.cat(found, dim=2)


BLOCK = 512
"""Queries that are computed together where all of them with all keys would be too many."""
MOST_VISIBLE = 1024 * 1024
"""Entries of a matrix of what is visible up to which it is made as a whole."""


def _of_block(mask: AttentionMask, block: slice, keys: int) -> tuple[slice, AttentionMask]:
    """The keys that some queries may see at all, and the mask of these with those."""
    assert isinstance(mask.offset, int), "rows of one length"
    first, last = 0, keys
    if mask.causal:
        last = min(keys, mask.offset + block.stop)
    if mask.window is not None:
        first = max(0, mask.offset + block.start - mask.window)
        last = min(last, mask.offset + block.stop + mask.window)
    queries, seen = mask.query_segments, mask.key_segments
    return slice(first, last), replace(
        mask,
        offset=mask.offset + block.start - first,
        query_segments=None if queries is None else queries[:, block],
        key_segments=None if seen is None else seen[:, first:last],
    )


def _is_one_document(mask: AttentionMask) -> bool:
    """Whether padding alone is hidden, so that all queries of a row may see the same; a GPU is not asked."""
    segments = mask.key_segments
    if segments is None or mask.query_segments is not segments or mask.causal or mask.window is not None:
        return False
    return segments.device.type == "cpu" and bool((segments.amax(dim=1) == 1).all())


def sdpa(
    mask: AttentionMask,
    bias: Float[Tensor, "b H T S"] | None,
    queries: int,
    keys: int,
    device: torch.device,
    /,
) -> Attend:
    """The default backend. No matrix of queries and keys is made where rows are long, or causality is all."""
    plain = bias is None and mask.key_segments is None and mask.window is None
    if plain and mask.causal and isinstance(mask.offset, int):
        if queries == keys and mask.offset == 0:
            return SdpaAttend(None, is_causal=queries > 1)
        if queries == 1 and mask.offset == keys - 1:
            return SdpaAttend(None, is_causal=False)
    if bias is None:
        if queries * keys > MOST_VISIBLE and isinstance(mask.offset, int):
            if _is_one_document(mask):
                mask = replace(mask, query_segments=None)
            if mask.window is not None or mask.causal or mask.query_segments is not None:
                return BlockedAttend(mask)
        return SdpaAttend(mask.dense(queries, keys, device), is_causal=False)
    visible = mask.dense(queries, keys, device)
    return BiasedSdpaAttend(bias if visible is None else torch.where(visible, bias, float("-inf")))


@dataclass(frozen=True)
class MatmulAttend:
    """Equation 1 written out: two matrix products with a softmax between them."""

    visible: Bool[Tensor, "b 1 t S"] | None
    bias: Float[Tensor, "c H T S"] | None

    def __call__(
        self, q: Float[Tensor, "B H T E"], k: Float[Tensor, "B K S E"], v: Float[Tensor, "B K S U"], /
    ) -> Float[Tensor, "B H T U"]:
        return self.weights(q, k) @ _of_each_head(v, q)

    def weights(self, q: Float[Tensor, "B H T E"], k: Float[Tensor, "B K S E"]) -> Float[Tensor, "B H T S"]:
        """How much each query takes of each key."""
        scores = q @ _of_each_head(k, q).mT / math.sqrt(q.shape[-1])
        if self.bias is not None:
            scores = scores + self.bias
        if self.visible is not None:
            scores = scores.masked_fill(~self.visible, float("-inf"))
        return scores.softmax(dim=-1)


def _of_each_head(shared: Float[Tensor, "B K S C"], q: Float[Tensor, "B H T E"]) -> Float[Tensor, "B H S C"]:
    """Keys or values with a copy for each head of the queries that share them."""
    group = q.shape[1] // shared.shape[1]
    return shared if group == 1 else shared.repeat_interleave(group, dim=1)


MOST_SCORES = 256 * 256
"""Scores of a head up to which they are held; longer rows go to the fused kernel, which never holds them."""


def matmul(
    mask: AttentionMask,
    bias: Float[Tensor, "b H T S"] | None,
    queries: int,
    keys: int,
    device: torch.device,
    /,
) -> Attend:
    """Matrix products for short rows: faster in bfloat16 on processors with matrix units."""
    if queries * keys > MOST_SCORES:
        return sdpa(mask, bias, queries, keys, device)
    return MatmulAttend(mask.dense(queries, keys, device), bias)


@dataclass(frozen=True)
class RecordingAttend(MatmulAttend):
    """Keeps the weights of every call in `record`."""

    record: list[Tensor]

    def __call__(
        self, q: Float[Tensor, "B H T E"], k: Float[Tensor, "B K S E"], v: Float[Tensor, "B K S U"], /
    ) -> Float[Tensor, "B H T U"]:
        weights = self.weights(q, k)
        self.record.append(weights)
        return weights @ _of_each_head(v, q)


@dataclass
class RecordingBackend:
    """Keeps the weights of every call: the reference, and the inspector's eye."""

    weights: list[Float[Tensor, "B H T S"]] = field(default_factory=list)

    def __call__(
        self,
        mask: AttentionMask,
        bias: Float[Tensor, "b H T S"] | None,
        queries: int,
        keys: int,
        device: torch.device,
        /,
    ) -> Attend:
        return RecordingAttend(mask.dense(queries, keys, device), bias, self.weights)


KERNELS: dict[str, Backend] = {"sdpa": sdpa, "matmul": matmul}
"""Those that training chooses from."""
