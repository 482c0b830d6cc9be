"""Exported graphs in the proof, whatever program runs them. Axes: R rows, T positions, V vocabulary."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headway.bundle import Bundle
from headway.decoding.beam import beam_search
from headway.decoding.sample import Room
from headway.decoding.settings import SearchConfig
from headway.interop.proof import Row


@runtime_checkable
class Run(Protocol):
    """Runs a graph, by its name, on named inputs."""

    def __call__(self, graph: str, inputs: Mapping[str, Tensor], /) -> list[Tensor]: ...


class GraphSteps:
    """Rows being decoded by the graph `decoder` alone, as a search sees them."""

    def __init__(self, run: Run, bundle: Bundle, source: list[int] | None) -> None:
        self.run, self.bundle = run, bundle
        config = bundle.config
        shape = (config.decoder_layers, 1, config.num_kv_heads, 0)
        self.keys, self.values = torch.zeros(*shape, config.d_key), torch.zeros(*shape, config.d_value)
        self.memory: list[Tensor] = []
        self.source_mask: Tensor | None = None
        if source is not None:
            ids = torch.tensor([source])
            self.source_mask = torch.ones_like(ids)
            self.memory = run("encoder", {"source": ids, "source_mask": self.source_mask})

    def feed(self, ids: Int[Tensor, "R T"]) -> Float[Tensor, "R T V"]:
        """Append to each row; logits at every new position."""
        inputs = {"ids": ids, "past_keys": self.keys, "past_values": self.values}
        if self.source_mask is not None:
            memory_keys, memory_values = self.memory
            inputs |= {"memory_keys": memory_keys, "memory_values": memory_values}
            inputs["source_mask"] = self.source_mask
        logits, self.keys, self.values = self.run("decoder", inputs)
        return logits

    def step(self, ids: Int[Tensor, "R"]) -> Float[Tensor, "R v"]:
        return self.log_probs(self.feed(ids[:, None]))

    def log_probs(self, logits: Float[Tensor, "R T V"]) -> Float[Tensor, "R v"]:
        """Of the next token, among those that have a text."""
        return logits[:, -1].log_softmax(dim=-1)[:, : self.bundle.tokenizers.target.vocab_size]

    def reorder(self, rows: Int[Tensor, "R"]) -> None:
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]

    def keep(self, rows: Int[Tensor, "Q"]) -> None:
        self.reorder(rows)
        self.memory = [each[:, rows] for each in self.memory]
        if self.source_mask is not None:
            self.source_mask = self.source_mask[rows]


@dataclass(frozen=True)
class GraphOpponent:
    """The graphs of a folder in the hands of the program that runs them."""

    bundle: Bundle
    run: Run
    name: str

    def measure(self, row: Row) -> Tensor:
        """Logits at each of the inputs: of decoders token by token, with the cache."""
        if self.bundle.architecture == "encoder":
            ids = torch.tensor([row.inputs])
            logits, _ = self.run("model", {"ids": ids, "mask": torch.ones_like(ids)})
            return logits[0]
        steps = GraphSteps(self.run, self.bundle, row.source)
        return torch.cat([steps.feed(torch.tensor([[token]]))[0] for token in row.inputs])

    def search(self, row: Row, beams: int, longest: int) -> list[int] | None:
        """By our own search over the graphs."""
        if self.bundle.architecture == "encoder":
            return None
        special = self.bundle.tokenizers.target.special
        steps = GraphSteps(self.run, self.bundle, row.source)
        first = steps.log_probs(steps.feed(torch.tensor([row.prompt])))
        if beams > 1:
            steps.keep(torch.zeros(beams, dtype=torch.long))
        config = SearchConfig(beams=beams, length_penalty=0.0)
        found = beam_search(steps, first, Room([0], [longest]), config, special, cut_competes=True)
        ids = list(found[0][0].ids)
        return ids[:-1] if ids[-1:] == [special.end] else ids

    def encode(self, text: str) -> list[int] | None:
        return None
