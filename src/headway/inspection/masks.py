"""What each position may see, as the model's own passes bind it. Axes: T queries, S keys."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from headway.batch import Tokens
from headway.bundle import Bundle
from headway.inspection.capture import Binding, capture_bindings, twin
from headway.inspection.notebook import heat_map
from headway.inspection.reading import Row, read, row_of
from headway.model.architectures import Transformer


@dataclass(frozen=True)
class MaskView:
    """One mask and the tokens it lies between."""

    name: str
    queries: Row
    keys: Row
    visible: Bool[Tensor, "T S"]

    def __repr__(self) -> str:
        queries, keys = self.visible.shape
        return f"MaskView({self.name}: {queries} queries × {keys} keys, {int(self.visible.sum())} visible)"

    def _repr_html_(self) -> str:
        """Colour where a query may look."""
        return heat_map(self.visible.float(), self.queries.tokens, self.keys.tokens, self.name)


def mask_views(bundle: Bundle, source: str | None, text: str) -> list[MaskView]:
    """Every distinct mask of one pass over a text; of several lines also as documents packed into a row."""
    reading = read(bundle, source, text)
    model = twin(bundle.model)
    found = []
    for stack, bindings in _bound(model, reading.inputs, reading.source_inputs).items():
        for binding in bindings:
            name, queries = f"{stack} to itself", reading.target
            keys = queries
            if reading.source and stack == "encoder":
                queries = keys = reading.source
            elif reading.source and reading.written and not binding.mask.causal:
                name, queries, keys = "decoder to memory", reading.written, reading.source
            found.append(MaskView(name + _reach(binding), queries, keys, binding.visible()))
    if bundle.architecture != "encoder-decoder":
        found += _packed(bundle, model, text)
    return found


def _packed(bundle: Bundle, model: Transformer, text: str) -> Iterator[MaskView]:
    """The same for a text of several lines, were each a document of its own in one row."""
    rows = [read(bundle, None, line).target for line in text.split("\n") if line.strip()]
    if len(rows) < 2:
        return
    row = row_of(bundle.tokenizers.target, [token for each in rows for token in each.ids])
    segments = torch.tensor([[i for i, each in enumerate(rows, start=1) for _ in each.ids]])
    device = model.output.weight.device
    inputs = Tokens(torch.tensor([row.ids], device=device), segments.to(device))
    for stack, bindings in _bound(model, inputs, None).items():
        for binding in bindings:
            yield MaskView(
                f"{stack} to itself{_reach(binding)}, each line a document", row, row, binding.visible()
            )


def _bound(model: Transformer, inputs: Tokens, source: Tokens | None) -> dict[str, list[Binding]]:
    with capture_bindings(model) as bindings, torch.no_grad():
        model(inputs, source)
    return bindings


def _reach(binding: Binding) -> str:
    """How a local layer's mask is told from a global one's."""
    window = binding.mask.window
    return "" if window is None else f", at most {window} away"
