"""Tiny models of any shape with random weights, and the vocabularies that they are given."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, get_args

import torch
from hypothesis import reject
from hypothesis import strategies as st

from headway.bundle import Bundle, BundleInfo
from headway.errors import RecipeError
from headway.model.architectures import build
from headway.model.config import Activation, AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.text.tokenizer import Tokenizer, TokenizerConfig, Tokenizers, train_tokenizer

UNUSED = 3
"""Rows of each vocabulary that have no token."""


@cache
def letters(alphabet: str) -> Tokenizer:
    return train_tokenizer([alphabet], TokenizerConfig(kind="characters", vocab_size=50))


def bundle_of(config: TransformerConfig, *, roughness: float = 0.1) -> Bundle:
    """A model of this shape; the vocabularies' sizes are set to those of its tokenizers."""
    target, source = letters("abcdefghijkl"), letters("mnopqrstuv")
    config = replace(config, vocab_size=target.vocab_size + UNUSED)
    tokenizers = Tokenizers(None, target)
    if config.architecture == "encoder-decoder":
        own = config.source_vocab_size is not None
        config = replace(config, source_vocab_size=source.vocab_size + UNUSED if own else None)
        tokenizers = Tokenizers(source if own else target, target)
    model = build(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(roughness * torch.randn_like(parameter))
    return Bundle(config, model.eval(), tokenizers, BundleInfo(longest_target=24, longest_source=24))


def shapes(layers: Sequence[tuple[int, int]]) -> st.SearchStrategy[dict[str, Any]]:
    """Any choice of what a config may say; `layers` are the counts of encoder and decoder layers."""
    flag = st.booleans()
    return st.fixed_dictionaries(
        {
            "layers": st.sampled_from(layers),
            "own_source": flag,
            "activation": st.sampled_from(get_args(Activation)),
            "bias": flag,
            "share_embeddings": flag,
            "tie_output": flag,
            "output_bias": flag,
            "output_transform": flag,
            "scale_embeddings": flag,
            "num_kv_heads": st.sampled_from([None, 2, 1]),
            "d_key": st.sampled_from([None, 6, 12]),
            "own_value": st.sampled_from([True, True, False]),
            "normalize": flag,
            "window": st.sampled_from([None, None, 3]),
            "global_every": st.sampled_from([None, 2]),
            "norm": st.sampled_from(["layer", "rms"]),
            "position": st.sampled_from(["post", "pre"]),
            "epsilon": st.sampled_from([1e-5, 1e-2]),
            "embedding": flag,
            "first": st.sampled_from([True, True, False]),
            "kind": st.sampled_from(["sinusoidal", "learned", "rotary", "alibi", "relative", "none"]),
            "base": st.sampled_from([10000.0, 300.0]),
        }
    )


def config_of(shape: dict[str, Any]) -> TransformerConfig:
    """A tiny config of this shape; a choice that contradicts itself is drawn anew."""
    encoder, decoder = shape["layers"]
    own = shape["d_key"]
    plain = ("activation", "bias", "share_embeddings", "tie_output", "output_bias", "scale_embeddings")
    try:
        return TransformerConfig(
            vocab_size=1,
            source_vocab_size=1 if encoder and decoder and shape["own_source"] else None,
            encoder_layers=encoder,
            decoder_layers=decoder,
            d_model=32,
            d_ff=40,
            dropout=0.0,
            output_transform=not decoder and shape["output_transform"],
            **{name: shape[name] for name in plain},
            attention=AttentionConfig(
                num_heads=4,
                d_key=own,
                d_value=own if shape["own_value"] else None,
                **{name: shape[name] for name in ("num_kv_heads", "normalize", "window", "global_every")},
            ),
            norm=NormConfig(
                kind=shape["norm"],
                **{name: shape[name] for name in ("position", "epsilon", "embedding", "first")},
            ),
            positions=PositionConfig(
                kind=shape["kind"], max_length=30, base=shape["base"], buckets=8, max_distance=9
            ),
        )
    except RecipeError:
        reject()
