"""Sizes of models, and what a step of one costs."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypedDict

from headway.config import from_table
from headway.errors import RecipeError, did_you_mean
from headway.model.config import TransformerConfig
from headway.model.presets import merged, preset
from headway.planning.draft import Draft
from headway.planning.machine import USUAL_LOSS, Work
from headway.planning.units import Units
from headway.training.settings import OptimizerConfig


class Size(NamedTuple):
    """Layers of each of two stacks, their width, and heads; one stack alone has as many layers as both."""

    layers: int
    d_model: int
    heads: int


SIZES = {
    "tiny": Size(2, 128, 4),
    "small": Size(3, 192, 4),
    "medium": Size(4, 256, 4),
    "large": Size(6, 384, 6),
    "base": Size(6, 512, 8),
    "big": Size(6, 1024, 16),
}
"""From the smallest; `base` and `big` are the paper's (Paper Table 3)."""


@dataclass(frozen=True)
class Wishes:
    """The dials: how long, and how large; None = to be decided."""

    minutes: float | None = None
    size: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None and self.size not in SIZES:
            raise RecipeError(f"size {self.size!r} does not exist: {did_you_mean(self.size, SIZES)}")
        if self.minutes is not None and not 0 < self.minutes < 1e6:
            raise RecipeError(f"minutes = {self.minutes:g}: must be above 0")


class Dials(TypedDict, total=False):
    """`Wishes` as arguments."""

    minutes: float | None
    size: str | None


SIZED = ("model.encoder_layers", "model.decoder_layers", "model.d_model", "model.d_ff")


def put_size(draft: Draft, size: Size, stacks: tuple[str, ...], reason: str) -> None:
    """Choose the keys of the model that make its size."""
    for stack in stacks:
        draft.choose(f"model.{stack}", size.layers * 2 // len(stacks), reason)
    width = draft.choose("model.d_model", size.d_model, reason)
    fields = merged(preset(draft.get("preset", "paper-base")), draft.get("model", {}))
    if str(fields.get("activation", "relu")).endswith("glu"):
        draft.choose("model.d_ff", 8 * width // 3 // 16 * 16, "8/3 of d_model, for it has a third matrix")
    else:
        draft.choose("model.d_ff", 4 * width, "4 times d_model")
    heads = size.heads if width == size.d_model else heads_for(width)
    draft.choose("model.attention.num_heads", heads, f"of {width // heads} places")


def heads_for(width: int) -> int:
    """Heads of about 64 places that divide a width evenly."""
    return next(n for n in range(max(1, width // 64), 0, -1) if width % n == 0)


def model_of(draft: Draft, units: Units) -> TransformerConfig:
    """The model of the draft, at the sizes that its vocabularies will have."""
    sizes: dict[str, Any] = {"vocab_size": units.vocabulary, "source_vocab_size": units.source_vocabulary}
    fields = merged(preset(draft.get("preset", "paper-base")), draft.get("model", {}))
    held = merged(fields, sizes)
    return from_table(TransformerConfig, {key: value for key, value in held.items() if value is not None})


def work_of(draft: Draft, units: Units) -> Work:
    """A usual step of the draft."""
    optimizer = from_table(OptimizerConfig, draft.get("optimizer", {}))
    tokens = draft.get("batch.tokens")
    loss = replace(USUAL_LOSS, r_drop=draft.get("training.r_drop", 0.0))
    if units.source is None:
        context = draft.get("batch.context")
        masked = draft.get("masking.rate", 0.15) if draft.get("model.encoder_layers") else 1.0
        return Work(model_of(draft, units), optimizer, max(1, tokens // context), context, 0, masked, loss)
    rows = max(1, round(tokens / units.longer))
    width, source_width = (1 + round(side.mean) for side in (units.target, units.source))
    return Work(model_of(draft, units), optimizer, rows, width, source_width, loss=loss)
