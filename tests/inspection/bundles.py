"""Untrained models of each kind to look into."""

from dataclasses import replace
from functools import cache

import torch

from headway.bundle import Bundle, BundleInfo
from headway.model.architectures import build
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.text.tokenizer import Tokenizer, TokenizerConfig, Tokenizers, train_tokenizer

LAYERS = {"pairs": (2, 3), "causal": (0, 2), "masked": (2, 0)}
HEADS = 4
SOURCE, TEXT = "the cat sat", "a mat is fat"


@cache
def tokenizer(kind: str = "bpe") -> Tokenizer:
    texts = ["the cat sat on a mat and it is a fat cat that sat"] * 3
    return train_tokenizer(texts, TokenizerConfig(kind=kind, vocab_size=290))  # type: ignore[arg-type]


def bundle_of(
    kind: str,
    positions: PositionConfig | None = None,
    norm: NormConfig | None = None,
    attention: AttentionConfig | None = None,
) -> Bundle:
    encoder, decoder = LAYERS[kind]
    target, source = tokenizer(), tokenizer("characters")
    config = TransformerConfig(
        vocab_size=target.vocab_size + 3,
        source_vocab_size=source.vocab_size if kind == "pairs" else None,
        encoder_layers=encoder,
        decoder_layers=decoder,
        d_model=16,
        d_ff=24,
        positions=positions or PositionConfig(),
        norm=norm or NormConfig(),
        attention=replace(attention or AttentionConfig(), num_heads=HEADS),
    )
    torch.manual_seed(1)
    model = build(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return Bundle(config, model, Tokenizers(source if kind == "pairs" else None, target), BundleInfo())


def source_of(kind: str) -> str | None:
    return SOURCE if kind == "pairs" else None
