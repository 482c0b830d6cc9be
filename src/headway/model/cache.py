"""All that decoding remembers.

Axes: B rows, S positions, K key/value heads, E and U sizes of key and value.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from headway.model.attention import KeyValues

BLOCK = 64
"""Positions by which room grows at least; it doubles beyond that, so that copies stay rare."""


@dataclass
class Cache:
    """Keys and values of every layer. Owned by the search, never by a module; advanced by `step` alone.

    Rows may have different lengths: what stands beyond a row's length is never visible, since causality hides
    it, and is overwritten when the row grows.
    """

    own: list[KeyValues]
    """Of each decoder layer, with room to spare."""
    memory: list[KeyValues]
    """Of the encoder's output for each decoder layer; empty for a decoder alone."""
    memory_segments: Int[Tensor, "B S"] | None
    lengths: Int[Tensor, "B"]
    bound: int = 0
    """The longest row, or an upper bound on it, known without asking the device."""
    uniform: bool = True
    """Whether every row is exactly `bound` long."""

    def reserve(self, positions: int) -> None:
        """Make room for so many more positions."""
        needed, room = self.bound + positions, self.own[0].k.shape[2]
        if needed > room:
            more = max(needed, 2 * room, BLOCK) - room
            for layer in self.own:
                layer.k = F.pad(layer.k, (0, 0, 0, more))
                layer.v = F.pad(layer.v, (0, 0, 0, more))

    def remember(self, layer: int, newest: KeyValues) -> KeyValues:
        """Write the newest positions of one layer behind each row's end; return all up to the longest."""
        kept, count = self.own[layer], newest.k.shape[2]
        end = self.bound + count
        if self.uniform:
            kept.k[:, :, self.bound : end] = newest.k
            kept.v[:, :, self.bound : end] = newest.v
        else:
            rows = torch.arange(len(self.lengths), device=self.lengths.device)[:, None]
            columns = self.lengths[:, None] + torch.arange(count, device=self.lengths.device)
            kept.k[rows, :, columns] = newest.k.transpose(1, 2)
            kept.v[rows, :, columns] = newest.v.transpose(1, 2)
        return KeyValues(kept.k[:, :, :end], kept.v[:, :, :end])

    def advance(self, positions: int, counts: Int[Tensor, "B"] | None) -> None:
        """Count the newest positions: all of them in each row, or so many of them."""
        self.lengths = self.lengths + (positions if counts is None else counts)
        self.bound += positions
        self.uniform = self.uniform and counts is None

    def reorder(self, rows: Int[Tensor, "R"]) -> None:
        """Make row i continue what row rows[i] was. Beams of one source share memory, so it stays."""
        same_size = len(rows) == len(self.lengths)
        self.lengths = self.lengths[rows]
        for layer in self.own:
            if same_size:  # the room to spare need not be copied
                layer.k[:, :, : self.bound] = layer.k[rows, :, : self.bound]
                layer.v[:, :, : self.bound] = layer.v[rows, :, : self.bound]
            else:
                layer.k, layer.v = layer.k[rows], layer.v[rows]

    def keep(self, rows: Int[Tensor, "R"]) -> None:
        """As `reorder`, for rows of any source and any number of them."""
        self.reorder(rows)
        self.bound = int(self.lengths.max())
        for layer in self.memory:
            layer.k, layer.v = layer.k[rows], layer.v[rows]
        if self.memory_segments is not None:
            self.memory_segments = self.memory_segments[rows]

    def join(self, others: "Cache") -> None:
        """Put the rows of another cache behind these; sources and texts may have other lengths."""
        bounds = [int(each.lengths.max()) for each in (self, others)]
        same = {*self.lengths.tolist(), *others.lengths.tolist()}
        pairs = list(zip(self.own, others.own, strict=True))
        for mine, theirs in pairs:
            mine.k = _stacked(mine.k[:, :, : bounds[0]], theirs.k[:, :, : bounds[1]], max(bounds) + BLOCK)
            mine.v = _stacked(mine.v[:, :, : bounds[0]], theirs.v[:, :, : bounds[1]], max(bounds) + BLOCK)
        if self.memory:
            segments = [_segments(each) for each in (self, others)]
            widths = [int(each.count_nonzero(dim=1).max()) for each in segments]
            self.memory_segments = torch.cat(
                [F.pad(s[:, :w], (0, max(widths) - w)) for s, w in zip(segments, widths, strict=True)]
            )
            for mine, theirs in zip(self.memory, others.memory, strict=True):
                mine.k = _stacked(mine.k[:, :, : widths[0]], theirs.k[:, :, : widths[1]], max(widths))
                mine.v = _stacked(mine.v[:, :, : widths[0]], theirs.v[:, :, : widths[1]], max(widths))
        self.lengths = torch.cat((self.lengths, others.lengths))
        self.bound, self.uniform = max(bounds), len(same) == 1


def _stacked(
    ours: Float[Tensor, "A K S E"], theirs: Float[Tensor, "B K U E"], room: int
) -> Float[Tensor, "A+B K {room} E"]:
    """Rows of both, with room for so many positions."""
    result = ours.new_zeros(len(ours) + len(theirs), ours.shape[1], room, ours.shape[3])
    result[: len(ours), :, : ours.shape[2]] = ours
    result[len(ours) :, :, : theirs.shape[2]] = theirs
    return result


def _segments(cache: Cache) -> Int[Tensor, "B S"]:
    """Which positions of the memory are real, said of each; they stand before what is not."""
    if cache.memory_segments is not None:
        return cache.memory_segments
    like = cache.memory[0].k
    return torch.ones(len(like), like.shape[2], dtype=torch.long, device=like.device)


def empty_key_values(
    like: Float[Tensor, "..."], rows: int, heads: int, d_key: int, d_value: int
) -> KeyValues:
    """Key and value storage without any position yet, of the type and on the device of `like`."""
    return KeyValues(like.new_zeros(rows, heads, 0, d_key), like.new_zeros(rows, heads, 0, d_value))
