"""What every head of every layer looks at, in one teacher-forced pass.

Axes: H heads, T queries, S keys.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from headway.bundle import Bundle
from headway.errors import UserError
from headway.inspection.capture import capture_attention, twin
from headway.inspection.notebook import folded, heat_map, picture, side_by_side
from headway.inspection.reading import Reading, Row, read

StackName = Literal["encoder", "decoder"]
Sees = Literal["self", "memory"]


@dataclass(frozen=True)
class AttentionRecord:
    """The attention of one layer to its own stack or to memory; `layer` counts from 1."""

    stack: StackName
    layer: int
    sees: Sees
    weights: Float[Tensor, "H T S"]
    """On the CPU; each row of keys sums to 1."""
    queries: Row
    """What looks: a token that the stack reads; by memory, the token that is to be written there."""
    keys: Row

    @property
    def query_tokens(self) -> list[str]:
        return self.queries.tokens

    @property
    def key_tokens(self) -> list[str]:
        return self.keys.tokens

    @property
    def name(self) -> str:
        """As in "decoder layer 2, to memory"."""
        seen = ", to memory" if self.sees == "memory" else ""
        return f"{self.stack} layer {self.layer}{seen}"

    def __repr__(self) -> str:
        heads, queries, keys = self.weights.shape
        return f"AttentionRecord({self.name}: {heads} heads, {queries} queries × {keys} keys)"

    def _repr_html_(self) -> str:
        """Every head with its tokens."""
        maps = [
            heat_map(each, self.query_tokens, self.key_tokens, f"head {head}")
            for head, each in enumerate(self.weights, start=1)
        ]
        return side_by_side(maps, f"{self.name}: each row is a token that looks, each column one it looks at")


@dataclass(frozen=True)
class Recording:
    """All attention of one pass."""

    source: Row | None
    target: Row
    """What the decoder, or the only stack, was given; in a decoder each token predicts the one after it."""
    records: list[AttentionRecord]

    def __repr__(self) -> str:
        read = "" if self.source is None else f"{len(self.source.ids)} source tokens, "
        return f"Recording({read}{len(self.target.ids)} tokens; {self._held()})"

    def _repr_html_(self) -> str:
        """Every layer: what its heads look at on average, and each head small."""
        return "".join(
            folded(record.name, _overview(record), is_open=record is self.records[-1])
            for record in self.records
        )

    def record(self, stack: StackName, layer: int, sees: Sees = "self") -> AttentionRecord:
        """That of one layer, counted from 1. Raises UserError, naming what there is, if there is none."""
        for each in self.records:
            if (each.stack, each.layer, each.sees) == (stack, layer, sees):
                return each
        raise UserError(
            f"there is no attention of {stack} layer {layer} ({sees}); this model has {self._held()}"
        )

    def _held(self) -> str:
        held = {(each.stack, each.sees): each.layer for each in self.records}
        return ", ".join(
            f"{name} ({seen}) layers 1 to {last}" if last > 1 else f"{name} ({seen}) layer 1"
            for (name, seen), last in held.items()
        )


def _overview(record: AttentionRecord) -> str:
    mean = heat_map(record.weights.mean(0), record.query_tokens, record.key_tokens, "mean of the heads")
    heads = [picture(each, f"head {head}") for head, each in enumerate(record.weights, start=1)]
    return side_by_side([mean, *heads], "")


def record_attention(bundle: Bundle, source: str | None, text: str) -> Recording:
    """The attention of the model in one pass over a text, for an encoder-decoder also its source.

    `text` is the output that an encoder-decoder is taken to have written, whether it would have or not.
    The model itself is left alone, so others may use it meanwhile.
    """
    reading = read(bundle, source, text)
    model = twin(bundle.model)
    with capture_attention(model) as weights, torch.no_grad():
        model(reading.inputs, reading.source_inputs)
    records = [
        record
        for name, stack in (("encoder", weights.get("encoder")), ("decoder", weights.get("decoder")))
        for record in _records(reading, name, stack or [])  # type: ignore[arg-type]
    ]
    return Recording(reading.source, reading.target, records)


def _records(reading: Reading, stack: StackName, weights: list[Tensor]) -> list[AttentionRecord]:
    """The records of one stack; a decoder with a source alternates between itself and memory."""
    own = reading.source if reading.source and stack == "encoder" else reading.target
    sides: list[tuple[Sees, Row, Row]] = [("self", own, own)]
    if reading.source and reading.written and stack == "decoder":
        sides.append(("memory", reading.written, reading.source))
    return [
        AttentionRecord(stack, i // len(sides) + 1, sees, each[0].float().cpu(), queries, keys)
        for i, each in enumerate(weights)
        for sees, queries, keys in [sides[i % len(sides)]]
    ]
