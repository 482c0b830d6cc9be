"""A model as graphs of plain tensors, for programs that know nothing of ours; the layers are the model's own.

Axes: L layers, B rows, T new positions, P past ones, S source positions, K key/value heads, E and U sizes of
key and value, D d_model, V vocabulary. Where lengths are unknown there are no shapes to check, hence no types
of them here.
"""

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from headway.bundle import Bundle, Model
from headway.model.architectures import CausalLM, Decoder, EncoderDecoder, MaskedLM
from headway.model.attention import KeyValues
from headway.model.backends import Attend
from headway.model.cache import Cache
from headway.model.mask import AttentionMask
from headway.model.positions import Positions, WaveTable
from headway.model.stack import Stack

FEWEST_POSITIONS = 2048
"""Rows, at least, of the tables of positions that a graph holds."""

ROWS, SOURCE_ROWS = {0: "batch", 1: "length"}, {0: "batch", 1: "source"}
"""Axes of ids and masks."""


@dataclass(frozen=True)
class ExplicitAttend:
    """Equation 1 written out: fused kernels do not leave PyTorch."""

    visible: Tensor | None
    bias: Tensor | None

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, /) -> Tensor:
        group = q.shape[1] // k.shape[1]
        if group > 1:
            k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        if self.bias is not None:
            scores = scores + self.bias
        if self.visible is not None:
            scores = scores.masked_fill(~self.visible, float("-inf"))
        return scores.softmax(dim=-1) @ v


def explicit(
    mask: AttentionMask, bias: Tensor | None, queries: int, keys: int, device: torch.device, /
) -> Attend:
    """The backend of graphs."""
    return ExplicitAttend(mask.dense(queries, keys, device), bias)


class PastCache(Cache):
    """A cache without room to spare: what a graph is given and gives back."""

    def remember(self, layer: int, newest: KeyValues) -> KeyValues:
        past = self.own[layer]
        whole = KeyValues(torch.cat((past.k, newest.k), dim=2), torch.cat((past.v, newest.v), dim=2))
        self.own[layer] = whole
        return whole


def places(ids: Tensor, before: int = 0) -> Positions:
    """Each token's place; the bound says nothing, for the tables are long enough or their lookup fails."""
    return Positions(torch.arange(before, before + ids.shape[1], device=ids.device)[None], 0)


def layered(keys_values: list[KeyValues]) -> tuple[Tensor, Tensor]:
    """Keys [L,B,K,S,E] and values [L,B,K,S,U] of all layers."""
    return torch.stack([each.k for each in keys_values]), torch.stack([each.v for each in keys_values])


def unlayered(keys: Tensor, values: Tensor) -> list[KeyValues]:
    """The reverse."""
    return [KeyValues(k, v) for k, v in zip(keys.unbind(0), values.unbind(0), strict=True)]


class SourceGraph(nn.Module):
    """source [B,S], source_mask [B,S] (1 = real, 0 = padding) -> memory_keys, memory_values."""

    outputs = ("memory_keys", "memory_values")

    def __init__(self, model: EncoderDecoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, source_mask: Tensor) -> tuple[Tensor, Tensor]:
        mask = AttentionMask(query_segments=source_mask, key_segments=source_mask)
        positions = places(source)
        encoded = self.model.encoder(self.model.source_embedding(source, positions), positions, mask)
        return layered(self.model.decoder.memory(encoded))


class StepGraph(nn.Module):
    """A decoder's ids [B,T] after past_keys [L,B,K,P,E], past_values -> logits [B,T,V], keys, values."""

    outputs = ("logits", "keys", "values")

    def __init__(self, model: Decoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, past_keys: Tensor, past_values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.step(ids, past_keys, past_values, [], None)

    def step(
        self,
        ids: Tensor,
        past_keys: Tensor,
        past_values: Tensor,
        memory: list[KeyValues],
        source_mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        past = past_keys.shape[3]
        lengths = torch.full((ids.shape[0],), past, device=ids.device)
        cache = PastCache(unlayered(past_keys, past_values), memory, source_mask, lengths, past)
        own = AttentionMask(causal=True, offset=lengths)
        seen = AttentionMask(key_segments=source_mask)
        positions = places(ids, past)
        embedded = self.model.embedding(ids, positions)
        hidden = self.model.decoder(embedded, positions, own, memory, seen, cache)
        return self.model.logits(hidden), *layered(cache.own)


class MemoryStepGraph(StepGraph):
    """As StepGraph, with memory_keys, memory_values [L,B,K,S,E or U] and source_mask [B,S] after these."""

    def forward(  # type: ignore[override]
        self,
        ids: Tensor,
        past_keys: Tensor,
        past_values: Tensor,
        memory_keys: Tensor,
        memory_values: Tensor,
        source_mask: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        memory = unlayered(memory_keys, memory_values)
        return self.step(ids, past_keys, past_values, memory, source_mask)


class WholeGraph(nn.Module):
    """ids [B,T], mask [B,T] (1 = real, 0 = padding) -> logits [B,T,V], states [B,T,D] of an encoder."""

    outputs = ("logits", "states")

    def __init__(self, model: MaskedLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        seen = AttentionMask(query_segments=mask, key_segments=mask)
        positions = places(ids)
        states = self.model.encoder(self.model.embedding(ids, positions), positions, seen)
        return self.model.logits(states), states


@dataclass(frozen=True)
class Graph:
    """One graph with an example of its inputs, by name, and which of their axes have any length."""

    module: SourceGraph | StepGraph | WholeGraph
    inputs: Mapping[str, Tensor]
    axes: Mapping[str, Mapping[int, str]]

    def program(self) -> ExportedProgram:
        """The graph as PyTorch's own portable program."""
        names = {axis for axes in self.axes.values() for axis in axes.values()}
        dims = {name: Dim(name, min=0 if name == "past" else 1) for name in sorted(names)}
        shapes = {
            name: {axis: dims[length] for axis, length in axes.items()} for name, axes in self.axes.items()
        }
        with torch.no_grad():
            return torch.export.export(
                self.module, (), dict(self.inputs), dynamic_shapes=shapes, strict=False
            )


def position_rows(bundle: Bundle) -> int:
    """Positions that a graph has rows for."""
    if bundle.config.positions.kind == "learned":
        return bundle.config.positions.max_length
    return max(FEWEST_POSITIONS, 2 * max(bundle.meta.longest_source, bundle.meta.longest_target))


def graphs_of(bundle: Bundle) -> dict[str, Graph]:
    """The graphs of a model by name: `encoder` and `decoder`, or `decoder` or `model` alone.

    Examples have at least two of everything, since a length of one would be taken for a constant.
    """
    model = _prepared(bundle)
    ids, mask = torch.full((2, 3), 3), torch.tensor([[1, 1, 1], [1, 1, 0]])
    if isinstance(model, MaskedLM):
        return {"model": Graph(WholeGraph(model), {"ids": ids, "mask": mask}, {"ids": ROWS, "mask": ROWS})}
    config = bundle.config
    shape = (config.decoder_layers, 2, config.num_kv_heads, 5)
    past = {
        "past_keys": torch.zeros(*shape, config.d_key),
        "past_values": torch.zeros(*shape, config.d_value),
    }
    inputs = {"ids": ids, **past}
    axes: dict[str, Mapping[int, str]] = {"ids": ROWS, **{key: {1: "batch", 3: "past"} for key in past}}
    if isinstance(model, CausalLM):
        return {"decoder": Graph(StepGraph(model), inputs, axes)}
    sources = {"source": ids, "source_mask": mask}
    reads = Graph(SourceGraph(model), sources, dict.fromkeys(sources, SOURCE_ROWS))
    with torch.no_grad():
        memory = dict(zip(SourceGraph.outputs, reads.module(**reads.inputs), strict=True))
    inputs |= {**memory, "source_mask": mask}
    axes |= {**{key: {1: "batch", 3: "source"} for key in memory}, "source_mask": SOURCE_ROWS}
    return {"encoder": reads, "decoder": Graph(MemoryStepGraph(model), inputs, axes)}


def _prepared(bundle: Bundle) -> Model:
    """A copy on the CPU, with attention written out and tables of positions that need not grow."""
    model = deepcopy(bundle.model).cpu().float().eval()
    rows = position_rows(bundle)
    for module in model.modules():
        if isinstance(module, Stack):
            module.backend = explicit
        if isinstance(module, WaveTable):
            module.table = module.rows(rows)
    return model
