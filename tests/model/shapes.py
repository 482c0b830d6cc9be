"""Shapes that together hold every pair of choices that changes attention, and texts to try them on."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from headway.batch import Tokens
from headway.model.architectures import CausalLM, EncoderDecoder, MaskedLM, Transformer, build
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig

VOCABULARY, SOURCE_VOCABULARY = 29, 31
LAYERS, WINDOW = 2, 3
"""Two layers reach twice as far as the window."""


class Shape(NamedTuple):
    """One choice of each kind."""

    positions: Literal["sinusoidal", "learned", "rotary", "alibi", "relative", "none"]
    sees: Literal["everywhere", "local", "alternating"]
    norm_position: Literal["post", "pre", "pre-after-first"]
    norm: Literal["layer", "rms"]
    activation: Literal["relu", "gelu", "swiglu"]
    kv_heads: int
    bias: bool
    tie: bool
    share: bool
    own_source_vocabulary: bool
    own_sizes: bool
    scale: bool
    normalize: bool
    norm_embedding: bool
    head: bool


YES, NO = True, False

SHAPES = (
    Shape("sinusoidal", "everywhere", "pre", "layer", "relu", 1, NO, YES, YES, YES, NO, YES, YES, YES, YES),
    Shape("sinusoidal", "local", "post", "rms", "gelu", 4, YES, YES, NO, NO, YES, YES, NO, NO, NO),
    Shape(
        "sinusoidal",
        "alternating",
        "pre-after-first",
        "rms",
        "swiglu",
        2,
        YES,
        NO,
        YES,
        YES,
        YES,
        NO,
        NO,
        YES,
        YES,
    ),
    Shape("learned", "everywhere", "pre", "layer", "swiglu", 2, NO, YES, YES, NO, NO, NO, NO, YES, YES),
    Shape("learned", "local", "pre-after-first", "rms", "gelu", 1, YES, YES, NO, YES, YES, NO, YES, NO, YES),
    Shape("learned", "alternating", "post", "layer", "relu", 4, YES, NO, NO, NO, NO, YES, YES, NO, NO),
    Shape("rotary", "everywhere", "pre", "rms", "gelu", 4, YES, NO, NO, YES, YES, YES, NO, YES, NO),
    Shape("rotary", "local", "pre-after-first", "layer", "relu", 2, NO, YES, YES, NO, YES, YES, NO, NO, YES),
    Shape("rotary", "alternating", "post", "rms", "swiglu", 1, YES, NO, NO, YES, NO, NO, YES, NO, NO),
    Shape("alibi", "everywhere", "post", "rms", "relu", 4, NO, NO, YES, YES, YES, YES, NO, YES, NO),
    Shape("alibi", "local", "pre", "layer", "swiglu", 2, YES, YES, NO, YES, YES, NO, YES, YES, YES),
    Shape(
        "alibi", "alternating", "pre-after-first", "rms", "gelu", 1, NO, YES, NO, NO, NO, YES, YES, NO, YES
    ),
    Shape("relative", "everywhere", "post", "rms", "relu", 2, NO, YES, NO, YES, NO, NO, NO, YES, NO),
    Shape("relative", "local", "pre-after-first", "layer", "gelu", 4, NO, NO, YES, NO, NO, NO, NO, YES, YES),
    Shape("relative", "alternating", "pre", "rms", "swiglu", 1, YES, YES, NO, NO, YES, YES, YES, NO, NO),
    Shape(
        "none", "everywhere", "pre-after-first", "rms", "swiglu", 4, YES, YES, YES, YES, NO, NO, NO, NO, NO
    ),
    Shape("none", "local", "post", "rms", "relu", 1, YES, YES, NO, NO, NO, NO, NO, YES, YES),
    Shape("none", "alternating", "pre", "layer", "gelu", 2, NO, NO, NO, NO, YES, YES, YES, YES, NO),
)


def missing_pairs() -> list[tuple[object, ...]]:
    """Pairs of choices, of all that occur at all, that stand together in no shape."""
    missing = []
    for a, b in combinations(Shape._fields, 2):
        there = {(getattr(shape, a), getattr(shape, b)) for shape in SHAPES}
        every = {(getattr(x, a), getattr(y, b)) for x in SHAPES for y in SHAPES}
        missing += [(a, b, *pair) for pair in every - there]
    return missing


def config_of(shape: Shape) -> TransformerConfig:
    """A tiny encoder-decoder of this shape."""
    window = None if shape.sees == "everywhere" else WINDOW
    two_bases = shape.positions == "rotary" and window is not None
    return TransformerConfig(
        vocab_size=VOCABULARY,
        source_vocab_size=SOURCE_VOCABULARY if shape.own_source_vocabulary else None,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        d_model=32,
        d_ff=48,
        activation=shape.activation,
        bias=shape.bias,
        share_embeddings=shape.share,
        tie_output=shape.tie,
        output_bias=shape.head,
        scale_embeddings=shape.scale,
        attention=AttentionConfig(
            num_heads=4,
            num_kv_heads=shape.kv_heads,
            d_key=6 if shape.own_sizes else None,
            d_value=10 if shape.own_sizes else None,
            normalize=shape.normalize,
            window=window,
            global_every=2 if shape.sees == "alternating" else None,
        ),
        norm=NormConfig(
            kind=shape.norm,
            position="post" if shape.norm_position == "post" else "pre",
            first=shape.norm_position != "pre-after-first",
            embedding=shape.norm_embedding,
        ),
        positions=PositionConfig(
            kind=shape.positions,
            max_length=160,
            local_base=20.0 if two_bases else None,
            buckets=8,
            max_distance=10,
        ),
    )


def shaken(config: TransformerConfig) -> Transformer:
    """A model in evaluation whose every parameter, biases and norms included, is random."""
    model = build(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def encoder_decoder(config: TransformerConfig) -> EncoderDecoder:
    model = shaken(config)
    assert isinstance(model, EncoderDecoder)
    return model


def causal(config: TransformerConfig) -> CausalLM:
    model = shaken(replace(config, encoder_layers=0, source_vocab_size=None))
    assert isinstance(model, CausalLM)
    return model


def masked(config: TransformerConfig) -> MaskedLM:
    """An encoder, with all of BERT's head where the shape has an output bias."""
    alone = replace(config, decoder_layers=0, source_vocab_size=None)
    model = shaken(replace(alone, output_transform=config.output_bias))
    assert isinstance(model, MaskedLM)
    return model


def text(rows: int, length: int, lengths: Sequence[int] | None = None) -> Tokens:
    """Random ids; rows end where `lengths` say, and what pads them is random too."""
    ids = torch.randint(0, VOCABULARY, (rows, length))
    segments = torch.ones_like(ids)
    for row, end in enumerate(lengths or ()):
        segments[row, end:] = 0
    return Tokens(ids, segments)


def padded(tokens: Tokens, left: int, right: int) -> Tokens:
    """The same rows with random ids as padding on both sides."""
    assert tokens.segments is not None
    rows = len(tokens.ids)
    before, after = (torch.randint(0, VOCABULARY, (rows, width)) for width in (left, right))
    return Tokens(
        torch.cat((before, tokens.ids, after), dim=1), F.pad(tokens.segments, (left, right), value=0)
    )


def packed(*several: Tokens) -> Tokens:
    """Texts of one row each as one row of several documents."""
    numbered = [number * one.segments for number, one in enumerate(several, 1) if one.segments is not None]
    return Tokens(torch.cat([one.ids for one in several], dim=1), torch.cat(numbered, dim=1))


def changed_from(tokens: Tokens, column: int) -> Tokens:
    """The same rows with every id from this column on replaced by another."""
    ids = tokens.ids.clone()
    ids[:, column:] = (
        ids[:, column:] + 1 + torch.randint(0, VOCABULARY - 1, ids[:, column:].shape)
    ) % VOCABULARY
    return Tokens(ids, tokens.segments)


@torch.no_grad()
def outputs(model: Transformer, inputs: Tokens, source: Tokens | None = None) -> Tensor:
    """Logits at every position."""
    return model.logits(model(inputs, source))


def assert_near(actual: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Equal up to the rounding of float32, relative to the largest value."""
    largest = max(1.0, float(expected.detach().abs().max()))
    torch.testing.assert_close(actual, expected, atol=tolerance * largest, rtol=0)
