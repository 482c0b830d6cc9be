"""Rewrites of weights change nothing that a model computes, or just what is said."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from headway.batch import Tokens
from headway.interop.reparametrise import (
    Rewrite,
    fold_embedding_scale,
    fold_key_scale,
    fold_output_scale,
    interleave_rotary,
    last_norm,
    split_waves,
)
from headway.interop.weights import Weights, load_weights, weights_of
from headway.model.architectures import build
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig

BASE = TransformerConfig(
    vocab_size=20,
    encoder_layers=2,
    decoder_layers=2,
    d_model=16,
    d_ff=24,
    attention=AttentionConfig(num_heads=2),
    positions=PositionConfig(kind="learned", max_length=12),
)
SHAPES = {
    "post": BASE,
    "pre, norm of embeddings": replace(BASE, norm=NormConfig(position="pre", embedding=True)),
    "own vocabularies, untied": replace(BASE, source_vocab_size=25, tie_output=False, output_bias=True),
    "gated, rms, rotary, heads normalized": replace(
        BASE,
        activation="swiglu",
        norm=NormConfig(kind="rms", position="pre"),
        positions=PositionConfig(kind="rotary"),
        attention=AttentionConfig(num_heads=2, num_kv_heads=1, normalize=True),
    ),
    "encoder with a head": replace(BASE, decoder_layers=0, output_transform=True, output_bias=True),
    "decoder": replace(BASE, encoder_layers=0),
    "relative": replace(BASE, positions=PositionConfig(kind="relative", buckets=8)),
}


def random_model(config: TransformerConfig) -> torch.nn.Module:
    model = build(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def logits(config: TransformerConfig, weights: Weights) -> Tensor:
    model = build(config).eval()
    load_weights(model, weights)
    ids = torch.arange(2, 20).view(2, 9)
    source = Tokens(ids[:, :6]) if config.architecture == "encoder-decoder" else None
    with torch.no_grad():
        return model.logits(model(Tokens(ids), source))


@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES)
def test_the_residual_stream_has_no_order_of_its_own(config: TransformerConfig) -> None:
    weights = weights_of(random_model(config))
    changed = split_waves(config).there(weights)
    assert any(not torch.equal(changed[name], weights[name]) for name in weights)
    assert torch.allclose(logits(config, changed), logits(config, weights), atol=1e-4)


@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("position", ["post", "pre"])
def test_embeddings_that_hold_their_scale_need_none(config: TransformerConfig, position: str) -> None:
    config = replace(config, norm=replace(config.norm, position=position))  # type: ignore[arg-type]
    weights = weights_of(random_model(config))
    folded = fold_embedding_scale(config).there(weights)
    unscaled = replace(config, scale_embeddings=False)
    assert torch.allclose(logits(unscaled, folded), logits(config, weights), atol=1e-4)
    again = fold_embedding_scale(unscaled).there(folded)
    assert all(torch.equal(again[name], folded[name]) for name in folded)


def test_queries_that_hold_the_scale_give_the_same_scores() -> None:
    config = SHAPES["relative"]
    weights = weights_of(random_model(config))
    folded = fold_key_scale(config).there(weights)
    for name in weights:
        factor = 1 / math.sqrt(config.d_key) if "query" in name else 1.0
        assert torch.allclose(folded[name], weights[name] * factor)


@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES)
def test_the_last_norm_is_what_the_output_projection_reads(config: TransformerConfig) -> None:
    weights = weights_of(random_model(config))
    silent = weights | {
        name: torch.zeros_like(weights[name]) for name in last_norm(config) if name in weights
    }
    found = logits(config, silent)
    assert torch.allclose(found, found[:1, :1].expand_as(found))


def test_the_output_is_divided_where_it_is_tied() -> None:
    config = SHAPES["post"]
    weights = weights_of(random_model(config))
    folded = fold_output_scale(config).there(weights)
    expected = logits(config, weights) * math.sqrt(config.d_model)
    assert torch.allclose(logits(config, folded), expected, atol=1e-3)
    untied = SHAPES["own vocabularies, untied"]
    own = weights_of(random_model(untied))
    assert all(torch.equal(own[name], each) for name, each in fold_output_scale(untied).there(own).items())


def test_pairs_of_halves_become_neighbours() -> None:
    config = SHAPES["gated, rms, rotary, heads normalized"]
    weights = weights_of(random_model(config))
    changed = interleave_rotary(config).there(weights)
    name, half = "decoder.layers.0.self_attention.query.weight", config.d_key // 2
    head, before = changed[name][: config.d_key], weights[name][: config.d_key]
    assert torch.equal(head[0::2], before[:half])
    assert torch.equal(head[1::2], before[half:])
    memory = "decoder.layers.0.memory_attention.query.weight"
    assert torch.equal(changed[memory], weights[memory])


@pytest.mark.parametrize(
    ("rewrite", "exact"),
    [
        (split_waves, True),
        (interleave_rotary, True),
        (fold_embedding_scale, True),  # a width of 16 scales by a power of two
        (fold_output_scale, True),
        (fold_key_scale, False),
    ],
)
@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES)
def test_back_undoes_there(
    rewrite: Callable[[TransformerConfig], Rewrite], exact: bool, config: TransformerConfig
) -> None:
    weights = weights_of(random_model(config))
    change = rewrite(config)
    back = change.back(change.there(weights))
    for name in weights:
        assert torch.equal(back[name], weights[name]) or not exact
        assert torch.allclose(back[name], weights[name], rtol=1e-6)
