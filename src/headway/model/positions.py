"""Where tokens stand, and how that enters the network (Paper §3.5).

Axes: B rows (b is B or 1), T positions, E size of a key (e is half of it).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from headway.batch import Tokens
from headway.errors import UserError
from headway.model.config import PositionConfig


@dataclass(frozen=True)
class Positions:
    """Each token's place in its own document, from 0, and a bound on it known without asking the device."""

    index: Int[Tensor, "b T"]
    bound: int


def positions_of(tokens: Tokens) -> Positions:
    """Positions that start anew in every segment, so that a packed document does not know its place."""
    length = tokens.ids.shape[1]
    column = torch.arange(length, device=tokens.ids.device)[None]
    if tokens.segments is None:
        return Positions(column, length)
    starts = F.pad(tokens.segments.diff(dim=1) != 0, (1, 0), value=True)
    first_column = torch.where(starts, column, 0).cummax(dim=1).values
    return Positions(column - first_column, length)


def wave_angles(length: int, size: int, base: float) -> Float[Tensor, "{length} {size}//2"]:
    """pos / base^(2i/size): the angles under the sinusoids and the rotations (Paper §3.5)."""
    rates = torch.exp(torch.arange(0, size, 2, dtype=torch.float64) * (-math.log(base) / size))
    return (torch.arange(length, dtype=torch.float64)[:, None] * rates).float()


class WaveTable(nn.Module):
    """Rows computed from the position alone, kept as a buffer that grows when a longer text comes."""

    table: Tensor

    def __init__(self, size: int, base: float) -> None:
        super().__init__()
        self.size, self.base = size, base
        self.register_buffer("table", self.rows(256), persistent=False)

    def rows(self, length: int) -> Float[Tensor, "length size"]:
        raise NotImplementedError

    def forward(self, positions: Positions) -> Float[Tensor, "b T size"]:
        table = self.table  # another thread may put a shorter one in its place
        if positions.bound > len(table):
            longer = 2 ** math.ceil(math.log2(positions.bound))
            with torch.inference_mode(False):  # what decoding has made must serve training, too
                table = self.table = self.rows(longer).to(table)
        return F.embedding(positions.index, table)


class SinusoidalPositions(WaveTable):
    """PE(pos, 2i) = sin(pos / base^(2i/d_model)), PE(pos, 2i+1) = cos of the same (Paper §3.5)."""

    def rows(self, length: int) -> Float[Tensor, "length size"]:
        angles = wave_angles(length, self.size, self.base)
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


class LearnedPositions(nn.Module):
    """A trained vector for each position (Paper Table 3, row E)."""

    def __init__(self, d_model: int, max_length: int) -> None:
        super().__init__()
        self.table = nn.Embedding(max_length, d_model)

    def forward(self, positions: Positions) -> Float[Tensor, "b T D"]:
        if positions.bound > self.table.num_embeddings:
            raise UserError(
                f"a text of {positions.bound} tokens is longer than the learned positions allow: shorten it, "
                f"or train with positions.max_length above {self.table.num_embeddings}"
            )
        return self.table(positions.index)


@dataclass(frozen=True)
class Rotation:
    """Turns each pair (i, i + E/2) of a query or key by its position's angle (Su et al. 2021, eq. 34)."""

    cos: Float[Tensor, "b 1 T e"]
    sin: Float[Tensor, "b 1 T e"]

    def __call__(self, x: Float[Tensor, "B H T E"]) -> Float[Tensor, "B H T E"]:
        a, b = x.chunk(2, dim=-1)
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class RotaryPositions(WaveTable):
    """Rotations of queries and keys, whose products then depend on distance only (Su et al. 2021)."""

    def rows(self, length: int) -> Float[Tensor, "length size"]:
        angles = wave_angles(length, self.size, self.base)
        return torch.cat((angles.cos(), angles.sin()), dim=-1)

    def rotation(self, positions: Positions) -> Rotation:
        cos, sin = self(positions)[:, None].chunk(2, dim=-1)
        return Rotation(cos, sin)


def added_positions(config: PositionConfig, d_model: int) -> SinusoidalPositions | LearnedPositions | None:
    """What an embedding adds to its token vectors; None for kinds that act elsewhere or not at all."""
    match config.kind:
        case "sinusoidal":
            return SinusoidalPositions(d_model, config.base)
        case "learned":
            return LearnedPositions(d_model, config.max_length)
        case "rotary" | "alibi" | "relative" | "none":
            return None
