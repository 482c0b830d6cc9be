"""All that decoding remembers.

Axes: B rows, M rows of the memory, S positions, H heads, K key/value heads, E and U sizes of key and value.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from headway.model.attention import KeyValues
from headway.model.backends import Attend

BLOCK = 16
"""Positions by which room grows at least; it doubles beyond that, so that copies stay rare."""


@dataclass
class Cache:
    """Keys and values of every layer. Owned by the search, never by a module; advanced by `step` alone.

    Rows may have different lengths: what stands beyond a row's length is never visible, since causality hides
    it, and is overwritten when the row grows.
    """

    own: list[KeyValues]
    """Of each decoder layer, with room to spare. What a row holds is one piece of memory."""
    memory: list[KeyValues]
    """Of the encoder's output for each decoder layer; empty for a decoder alone."""
    memory_segments: Int[Tensor, "M S"] | None
    lengths: Int[Tensor, "B"]
    bound: int = 0
    """The longest row, or an upper bound on it, known without asking the device."""
    uniform: bool = True
    """Whether every row is exactly `bound` long."""
    copies: int = 1
    """How many adjacent rows share each row of the memory: the beams of one source."""

    def reserve(self, positions: int) -> None:
        """Make room for so many more positions."""
        needed, room = self.bound + positions, self.own[0].k.shape[2]
        if needed > room:
            wanted = max(needed, 2 * room, BLOCK)
            for layer in self.own:
                layer.k, layer.v = _wider(layer.k, wanted), _wider(layer.v, wanted)

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

    def spread(self, copies: int) -> None:
        """Make so many adjacent rows of each; they share its memory."""
        self._move(torch.arange(len(self.lengths), device=self.lengths.device).repeat_interleave(copies))
        self.copies *= copies

    def reorder(self, rows: Int[Tensor, "R"]) -> None:
        """Make row i continue what row rows[i] was. Beams of one source share memory, so it stays."""
        self._move(rows)

    def keep(self, rows: Int[Tensor, "R"]) -> None:
        """As `reorder`, for rows of any source and any number of them.

        Where beams of one source do not stay together, each gets a memory of its own.
        """
        self._move(rows)
        if not self.uniform:
            self.bound = int(self.lengths.max())
        if self.memory:
            sources = rows // self.copies
            if self._are_groups(sources):
                sources = sources[:: self.copies]
            else:
                self.copies = 1
            self._take_memory(sources)

    def _move(self, rows: Int[Tensor, "R"]) -> None:
        """The rows without their memory: what they hold is copied, the room to spare only where it grows."""
        self.lengths = self.lengths[rows]
        for layer in self.own:
            layer.k, layer.v = _moved(layer.k, rows, self.bound), _moved(layer.v, rows, self.bound)

    def _are_groups(self, sources: Int[Tensor, "R"]) -> bool:
        """Whether each run of `copies` rows is of one source."""
        if self.copies == 1 or len(sources) % self.copies:
            return self.copies == 1
        groups = sources.view(-1, self.copies)
        return bool((groups == groups[:, :1]).all())

    def _take_memory(self, sources: Int[Tensor, "Q"]) -> None:
        for layer in self.memory:
            layer.k, layer.v = layer.k[sources], layer.v[sources]
        if self.memory_segments is not None:
            self.memory_segments = self.memory_segments[sources]

    def _share_no_more(self) -> None:
        """Give every row a memory of its own."""
        if self.memory and self.copies > 1:
            rows = torch.arange(len(self.lengths), device=self.lengths.device)
            self._take_memory(rows // self.copies)
            self.copies = 1

    def join(self, others: "Cache") -> None:
        """Put the rows of another cache behind these; sources and texts may have other lengths."""
        self._share_no_more()
        others._share_no_more()
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


@dataclass(frozen=True)
class SharedAttend:
    """Attention of rows that share memory: to it they are so many queries of one row."""

    attend: Attend
    copies: int

    def __call__(
        self, q: Float[Tensor, "R H T E"], k: Float[Tensor, "M K S E"], v: Float[Tensor, "M K S U"], /
    ) -> Float[Tensor, "R H T U"]:
        rows, heads, length, _ = q.shape
        several = q.unflatten(0, (-1, self.copies)).transpose(1, 2).flatten(2, 3)
        found = self.attend(several, k, v).unflatten(2, (self.copies, length))
        return found.transpose(1, 2).reshape(rows, heads, length, -1)


def _room(like: Float[Tensor, "..."], rows: int, heads: int, positions: int, size: int) -> Tensor:
    """Zeros [rows, heads, positions, size] of which the heads of a position stand together in memory."""
    return like.new_zeros(rows, positions, heads, size).transpose(1, 2)


def _wider(held: Float[Tensor, "B K S E"], positions: int) -> Float[Tensor, "B K {positions} E"]:
    """The same with room for so many positions."""
    rows, heads, before, size = held.shape
    result = _room(held, rows, heads, positions, size)
    result[:, :, :before] = held
    return result


def _moved(held: Float[Tensor, "B K S E"], rows: Int[Tensor, "R"], bound: int) -> Float[Tensor, "R K S E"]:
    """Some of the rows, of which the first `bound` positions count; in the same place if there is room."""
    chosen = held.transpose(1, 2)[:, :bound].index_select(0, rows)
    _, heads, positions, size = held.shape
    place = held[: len(rows)] if len(rows) <= len(held) else _room(held, len(rows), heads, positions, size)
    place.transpose(1, 2)[:, :bound] = chosen
    return place


def _stacked(
    ours: Float[Tensor, "A K S E"], theirs: Float[Tensor, "B K U E"], room: int
) -> Float[Tensor, "A+B K {room} E"]:
    """Rows of both, with room for so many positions."""
    result = _room(ours, len(ours) + len(theirs), ours.shape[1], room, ours.shape[3])
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
    return KeyValues(_room(like, rows, heads, 0, d_key), _room(like, rows, heads, 0, d_value))
