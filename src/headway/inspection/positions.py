"""How a model knows where a token stands, drawn: what positions add, and how positions look to each other.

Axes: L positions, W columns.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headway.batch import Tokens
from headway.inspection.capture import capture_bindings, twin
from headway.inspection.notebook import picture, side_by_side
from headway.model.architectures import Transformer
from headway.model.embedding import Embedding
from headway.model.positions import Positions
from headway.model.stack import Stack

MOST_COLUMNS = 128
"""Of wider encodings every so many-th column is shown."""

WIDE = 240
"""Width of each picture in a notebook, in pixels."""


@dataclass(frozen=True)
class PositionView:
    """Position by position. What the two hold depends on the kind:

    sinusoidal, learned: `waves` are the vectors that embeddings add. rotary: cosines and sines of the angles
    by which queries and keys turn. `products` are the dot products of those rows; of rotary ones that is half
    of what turning leaves of the product of a vector of ones with itself. alibi, relative: `products` is what
    is added to the scores, averaged over heads, and a row of `waves` what each head adds at that distance.
    none: no waves, and products of 0.
    """

    kind: str
    waves: Float[Tensor, "L W"]
    products: Float[Tensor, "L L"]

    def __repr__(self) -> str:
        return f"PositionView({self.kind}: {len(self.products)} positions, {self.waves.shape[1]} columns)"

    def _repr_html_(self) -> str:
        """Both as pictures, from the first position down; blue is above 0, amber below."""
        pictures = [
            picture(each, f"{name}, {each.shape[0]} × {each.shape[1]}", float(each.abs().max()), WIDE)
            for name, each in (("waves", self.waves), ("products", self.products))
            if each.numel()
        ]
        return side_by_side(pictures, f"{self.kind} positions: blue is above 0, amber below")


def position_view(model: Transformer, length: int = 100) -> PositionView:
    """The first `length` positions of a model; fewer where its learned table is shorter."""
    config = model.config.positions
    if config.kind == "learned":
        length = min(length, config.max_length)
    model = twin(model)
    stack = next(each for each in model.modules() if isinstance(each, Stack))
    place = Positions(torch.arange(length, device=model.output.weight.device)[None], length)
    with torch.no_grad():
        if config.kind in ("sinusoidal", "learned"):
            embedding: Embedding = model.embedding
            assert embedding.positions is not None
            return _of_rows(config.kind, embedding.positions(place)[0])
        if stack.rotary is not None:
            return _of_rows(config.kind, stack.rotary(place)[0])
        return _of_bias(model, config.kind, length)


def _of_rows(kind: str, rows: Tensor) -> PositionView:
    rows = rows.float().cpu()
    step = -(-rows.shape[1] // MOST_COLUMNS)
    return PositionView(kind, rows[:, ::step], rows @ rows.T)


def _of_bias(model: Transformer, kind: str, length: int) -> PositionView:
    """What a kind that acts inside attention adds there; nothing where there are no positions at all."""
    ids = torch.zeros(1, length, dtype=torch.long, device=model.output.weight.device)
    with capture_bindings(model) as bindings, torch.no_grad():
        source = Tokens(ids) if model.config.architecture == "encoder-decoder" else None
        model(Tokens(ids), source)
    biases = [each.bias for stack in bindings.values() for each in stack if each.bias is not None]
    if not biases:
        return PositionView(kind, torch.zeros(length, 0), torch.zeros(length, length))
    heads = biases[-1].float().cpu().reshape(-1, *biases[-1].shape[-2:]).expand(-1, length, length)
    return PositionView(kind, heads[:, -1].flip(-1).T, heads.mean(0))
