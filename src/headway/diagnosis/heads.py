"""Attention heads that do nothing, recorded at validations on a few held-out texts.

Axes: B rows, H heads, T queries, S keys.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from headway.data.loader import EncodedText
from headway.data.objectives import Example, Objective
from headway.inspection.capture import capture_attention
from headway.model.architectures import Transformer

TEXTS, LONGEST = 8, 64
"""Held-out texts that are looked at, spread evenly, and how many tokens of each: some milliseconds."""

FEWEST_KEYS = 4
"""Queries that see fewer keys tell nothing: on one or two, any weights are nearly uniform or fixed."""

UNIFORM = 0.99
"""Share of the largest entropy possible, ln(number of keys), from which on a head averages blindly: such
weights are within about a tenth of each other."""

FIXED = 0.99
"""Share of the weight on one place of all texts, from which on a head adds the same whatever is asked."""


@dataclass(frozen=True)
class Heads:
    """Which heads do nothing: of each, `STACK.LAYER.self` or `.memory`, and its number, all from 0."""

    count: int
    """All heads of the model."""
    uniform: list[str] = field(default_factory=list)
    """They look at all keys alike."""
    fixed: list[str] = field(default_factory=list)
    """They look at the same place, counted from the start or from the end, for every query and text."""

    @property
    def dead(self) -> int:
        return len(self.uniform) + len(self.fixed)


@torch.no_grad()
def look_at_heads(model: Transformer, objective: Objective, held_out: EncodedText) -> Heads | None:
    """The heads of a model on some held-out texts; None if none of them is long enough to tell."""
    chosen = torch.linspace(0, len(held_out) - 1, min(TEXTS, len(held_out))).int().unique().tolist()
    device = next(model.parameters()).device
    several: dict[str, list[Float[Tensor, "_ _ _"]]] = {}
    model.eval()
    for index in chosen:
        source = held_out.source(index) if objective.reads_source else None
        example = Example(index, held_out.ids(index)[:LONGEST], None if source is None else source[:LONGEST])
        batch = objective.batch([[example]], 0, 0, 1.0).to(device)
        with capture_attention(model) as recorded:
            model(batch.inputs, batch.source)
        for name, weights in _named(model, recorded):
            several.setdefault(name, []).append(weights[0].float().cpu())
    return judge_heads(several)


def _named(
    model: Transformer, recorded: dict[str, list[Float[Tensor, "_ _ _ _"]]]
) -> Iterator[tuple[str, Float[Tensor, "_ _ _ _"]]]:
    """Each layer's weights with a name; a decoder that sees memory alternates between the two."""
    for stack, weights in recorded.items():
        layers = model.get_submodule(stack).layers
        sees = ("self", "memory") if len(weights) > len(layers) else ("self",)  # type: ignore[arg-type]
        for i, each in enumerate(weights):
            yield f"{stack}.{i // len(sees)}.{sees[i % len(sees)]}", each


def judge_heads(several: dict[str, list[Float[Tensor, "_ _ _"]]]) -> Heads | None:
    """The heads that do nothing, from the weights of each layer on several texts; None if there are none."""
    uniform, fixed, count = [], [], 0
    for name, texts in several.items():
        told = [weights[:, (weights > 0).sum(-1).amin(0) >= FEWEST_KEYS] for weights in texts]
        told = [weights for weights in told if weights.shape[1]]
        count += len(texts[0])
        if not told:
            continue
        even = _evenness(told)
        most = torch.maximum(_most_on_one(told), _most_on_one([weights.flip(-1) for weights in told]))
        for head in range(len(texts[0])):
            if even[head] > UNIFORM:
                uniform.append(f"{name}.{head}")
            elif most[head] > FIXED:
                fixed.append(f"{name}.{head}")
    return Heads(count, uniform, fixed) if count else None


def _evenness(texts: Sequence[Float[Tensor, "H _ _"]]) -> Float[Tensor, "H"]:
    """Entropy over the largest possible one, on average over all queries."""
    shares = [
        torch.special.entr(weights).sum(-1) / (weights > 0).sum(-1).clamp(min=2).float().log()
        for weights in texts
    ]
    return torch.cat(shares, dim=1).mean(1)


def _most_on_one(texts: Sequence[Float[Tensor, "H _ _"]]) -> Float[Tensor, "H"]:
    """The largest share that one place has of the weight of all queries and texts."""
    width = min(weights.shape[-1] for weights in texts)
    return torch.cat([weights[..., :width] for weights in texts], dim=1).mean(1).amax(-1)
