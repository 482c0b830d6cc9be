"""Small models that a GGUF file can hold."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import pre_tokenizers, trainers

from headway.bundle import Bundle, BundleInfo
from headway.interop.gguf import write_gguf
from headway.interop.gguf_tokenizer import splittings
from headway.model.architectures import build
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.text.special import SpecialIds
from headway.text.tokenizer import Tokenizer, TokenizerConfig, Tokenizers, train_tokenizer
from tests.interop.theirs import roughen

LINES = [
    "the cat sat on a mat",
    "is it 1999 or 20?",
    "  two  blanks\tand\nlines",
    "ünïcödé 漢字 🙂!",
    "<s> is plain </s>",
    "don't you'LL we'Ve",
]

RMS = NormConfig(kind="rms", position="pre")
ROTARY = PositionConfig(kind="rotary", max_length=64)
SHAPES: dict[str, dict[str, Any]] = {
    "llama": {
        "activation": "swiglu",
        "bias": False,
        "norm": RMS,
        "positions": ROTARY,
        "attention": AttentionConfig(num_heads=4, num_kv_heads=2),
    },
    "llama, biased and untied": {
        "activation": "swiglu",
        "tie_output": False,
        "scale_embeddings": False,
        "norm": NormConfig(kind="rms", position="pre", epsilon=1e-6),
        "positions": PositionConfig(kind="rotary", max_length=64, base=50_000.0),
        "attention": AttentionConfig(num_heads=4),
    },
    "qwen3": {
        "activation": "swiglu",
        "bias": False,
        "norm": RMS,
        "positions": ROTARY,
        "attention": AttentionConfig(num_heads=4, num_kv_heads=2, normalize=True, d_key=16, d_value=16),
    },
    "gpt2": {
        "activation": "gelu_tanh",
        "norm": NormConfig(position="pre"),
        "positions": PositionConfig(kind="learned", max_length=64),
        "attention": AttentionConfig(num_heads=4),
    },
}


@cache
def byte_pairs() -> Tokenizer:
    return train_tokenizer(
        ["the cat sat on the mat in 1999, and isn't it fat?"] * 3, TokenizerConfig(vocab_size=300)
    )


def small(shape: str, tokenizer: Tokenizer | None = None) -> Bundle:
    """Rough weights, and room for more tokens than the vocabulary has."""
    tokenizer = tokenizer or byte_pairs()
    torch.manual_seed(0)
    config = TransformerConfig(
        vocab_size=tokenizer.vocab_size + 4,
        encoder_layers=0,
        decoder_layers=2,
        d_model=32,
        d_ff=64,
        **SHAPES[shape],
    )
    model = build(config)
    roughen(model)
    return Bundle(config, model.eval(), Tokenizers(None, tokenizer), BundleInfo(longest_target=32))


def written(shape: str, folder: Path) -> Path:
    """The file of such a model."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_gguf(small(shape), folder)


def split_as(name: str) -> Tokenizer:
    """Byte-level pairs of words as one of the named ways splits them."""
    splitting = splittings()[name]
    content = json.loads(byte_pairs().to_json())
    content |= {"pre_tokenizer": splitting.splitter, "normalizer": splitting.normalizer, "added_tokens": []}
    content["model"] |= {"ignore_merges": splitting.ignore_merges, "vocab": {}, "merges": []}
    library = tokenizers.Tokenizer.from_str(json.dumps(content))
    learner = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    library.train_from_iterator(LINES * 3, learner)
    return Tokenizer(library.to_str(), SpecialIds(pad=0, unknown=None, begin=None, end=0, mask=None))
