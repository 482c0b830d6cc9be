"""What a distance adds to the scores of attention. Axes: b rows (B or 1), H heads, T queries, S keys."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from headway.model.config import TransformerConfig
from headway.model.mask import AttentionMask


def slopes(num_heads: int) -> list[float]:
    """How fast each head's scores fall: 2^(-8i/H) for a power of two (Press et al. 2022, §3).

    Other numbers of heads take those of the next lower power, and every second one of the power after it.
    """
    power = 2 ** (num_heads.bit_length() - 1)
    first = [2 ** (-8 * i / power) for i in range(1, power + 1)]
    between = [2 ** (-4 * i / power) for i in range(1, 2 * power, 2)]
    return first + between[: num_heads - power]


class LinearBias(nn.Module):
    """ALiBi: -slope · distance, to both sides alike (Press et al. 2022, §3)."""

    slopes: Tensor

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.register_buffer("slopes", torch.tensor(slopes(num_heads)), persistent=False)

    def forward(
        self, mask: AttentionMask, queries: int, keys: int, device: torch.device
    ) -> Float[Tensor, "b H T S"]:
        return mask.distances(queries, keys, device).abs() * -self.slopes[:, None, None]


class BucketedBias(nn.Module):
    """A trained number for each head and bucket of distances (Raffel et al. 2020, §2.1)."""

    def __init__(self, num_heads: int, buckets: int, max_distance: int) -> None:
        super().__init__()
        self.max_distance = max_distance
        self.table = nn.Embedding(buckets, num_heads)

    def forward(
        self, mask: AttentionMask, queries: int, keys: int, device: torch.device
    ) -> Float[Tensor, "b H T S"]:
        distances = mask.distances(queries, keys, device)
        bias: Tensor = self.table(self.bucket(distances, mask.causal))
        return bias.movedim(-1, 2).squeeze(1)

    def bucket(self, distances: Int[Tensor, "b 1 T S"], causal: bool) -> Int[Tensor, "b 1 T S"]:
        """Half of the buckets for one distance each, half for ranges that widen up to `max_distance`.

        Without causality the upper half is for keys behind the query, and each half is so divided.
        """
        each = self.table.num_embeddings if causal else self.table.num_embeddings // 2
        distance = -distances.clamp(max=0) if causal else distances.abs()
        exact = each // 2
        widening = (distance.clamp(min=exact).float() / exact).log() / math.log(self.max_distance / exact)
        far = (exact + (widening * (each - exact)).long()).clamp(max=each - 1)
        bucket = torch.where(distance < exact, distance, far)
        return bucket if causal else bucket + each * (distances > 0)


def score_bias(config: TransformerConfig) -> LinearBias | BucketedBias | None:
    """The bias of one stack; None for kinds of positions that act elsewhere."""
    positions, num_heads = config.positions, config.attention.num_heads
    match positions.kind:
        case "alibi":
            return LinearBias(num_heads)
        case "relative":
            return BucketedBias(num_heads, positions.buckets, positions.max_distance)
        case "sinusoidal" | "learned" | "rotary" | "none":
            return None
