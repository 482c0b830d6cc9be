"""What padding does beside a text: hidden by segments, or seen."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

from headway.batch import NO_LABEL, Batch, Tokens
from headway.model.architectures import Transformer
from tour.learn import score
from tour.report import spread
from tour.seeds import shaded
from tour.unmasked import seeing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Int[Tensor, "N L"]
"""Tokens of rows of equal length."""

PADDED = {
    "causal, padding on the left, hidden": (True, True, True),
    "causal, padding on the left, seen": (True, True, False),
    "causal, padding on the right, seen": (True, False, False),
    "sees both sides, padding on the right, hidden": (False, False, True),
    "sees both sides, padding on the right, seen": (False, False, False),
}
"""Which model, and which side, and whether the padding is hidden."""

Losses = Mapping[str, Sequence[float]]
"""Bits a token beside more and more padding, for each of PADDED."""


def beside_padding(rows: Rows, places: int, pad: int, *, left: bool, hidden: bool) -> Batch:
    """Rows that predict their next tokens, with so many places of padding on one side."""

    def with_padding(real: Tensor, fill: int) -> Tensor:
        extra = real.new_full((len(real), places), fill)
        return torch.cat((extra, real) if left else (real, extra), dim=1)

    inputs, labels = rows[:, :-1], rows[:, 1:]
    segments = with_padding(torch.ones_like(inputs), 0) if hidden else None
    return Batch(Tokens(with_padding(inputs, pad), segments), with_padding(labels, NO_LABEL))


def padded(rows: Rows, counts: Sequence[int], pad: int, models: Mapping[bool, Transformer]) -> Losses:
    """The same rows beside so many places each; `models` are one with the mask and one without it."""
    found = {}
    for name, (masked, left, hidden) in PADDED.items():
        with seeing(models[masked], future=not masked):
            batches = [beside_padding(rows, places, pad, left=left, hidden=hidden) for places in counts]
            found[name] = [score(models[masked], [batch]).loss / math.log(2) for batch in batches]
    return found


def rows_of_padding(found: Sequence[Losses]) -> list[list[str]]:
    """A line for each way of it, of a seed's losses each."""
    return [
        [name, *(spread(losses, ".2f") for losses in zip(*(each[name] for each in found), strict=True))]
        for name in PADDED
    ]


def draw_padding(figure: "Figure", counts: Sequence[int], found: Sequence[Losses]) -> None:
    axes = figure.subplots()
    for name, color in zip(PADDED, ("C0", "C3", "C2", "C4", "C1"), strict=True):
        style = "o-" if name.endswith("hidden") else "s--"
        shaded(axes, range(len(counts)), [each[name] for each in found], name, style=style, color=color)
    axes.set(xlabel="places of padding beside each text", ylabel="loss, bits a token")
    axes.set_xticks(range(len(counts)), [str(count) for count in counts])
    axes.legend(fontsize="small")
