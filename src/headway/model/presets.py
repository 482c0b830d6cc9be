"""Named shapes: the paper's Table 3, a modern one, a small one for each objective, and known models."""

from collections.abc import Mapping
from typing import Any

from headway.config import from_table
from headway.errors import RecipeError, did_you_mean
from headway.model.config import TransformerConfig

Fields = Mapping[str, Any]
"""Keys of TransformerConfig, groups as tables inside."""

BIG = {"d_model": 1024, "d_ff": 4096, "dropout": 0.3, "attention": {"num_heads": 16}}

TABLE_3: dict[str, Fields] = {
    "table3-base": {},
    **{f"table3-a-h{h}": {"attention": {"num_heads": h}} for h in (1, 4, 16, 32)},
    **{f"table3-b-dk{e}": {"attention": {"d_key": e}} for e in (16, 32)},
    **{f"table3-c-n{n}": {"encoder_layers": n, "decoder_layers": n} for n in (2, 4, 8)},
    "table3-c-d256": {"d_model": 256},
    "table3-c-d1024": {"d_model": 1024},
    "table3-c-ff1024": {"d_ff": 1024},
    "table3-c-ff4096": {"d_ff": 4096},
    "table3-d-drop0.0": {"dropout": 0.0},
    "table3-d-drop0.2": {"dropout": 0.2},
    "table3-e-learned": {"positions": {"kind": "learned"}},
    "table3-big": BIG,
}
"""Every row of the paper's Table 3 that changes the model; those of label smoothing change training only."""

LLAMA_SHAPE: Fields = {
    "activation": "swiglu",
    "bias": False,
    "scale_embeddings": False,
    "norm": {"kind": "rms", "position": "pre"},
    "positions": {"kind": "rotary"},
}

SMALL: Fields = {"d_model": 256, "d_ff": 1024, "attention": {"num_heads": 4}}

T5: Fields = {
    "d_model": 768,
    "d_ff": 3072,
    "encoder_layers": 12,
    "decoder_layers": 12,
    "bias": False,
    "scale_embeddings": False,
    "attention": {"num_heads": 12},
    "norm": {"kind": "rms", "position": "pre", "epsilon": 1e-6},
    "positions": {"kind": "relative"},
}
"""T5 Base (Raffel et al. 2020); its own code divides no score by √d_key, and W_Q makes up for that."""

BART: Fields = {
    "d_model": 768,
    "d_ff": 3072,
    "activation": "gelu",
    "scale_embeddings": False,
    "attention": {"num_heads": 12},
    "norm": {"embedding": True},
    "positions": {"kind": "learned"},
}
"""BART Base (Lewis et al. 2020)."""

MARIAN: Fields = {"activation": "silu", "output_bias": True}
"""The translation models of OPUS-MT (Junczys-Dowmunt et al. 2018; Tiedemann and Thottingal 2020)."""

BERT: Fields = {
    "d_model": 768,
    "d_ff": 3072,
    "encoder_layers": 12,
    "decoder_layers": 0,
    "activation": "gelu",
    "scale_embeddings": False,
    "output_bias": True,
    "output_transform": True,
    "attention": {"num_heads": 12},
    "norm": {"epsilon": 1e-12, "embedding": True},
    "positions": {"kind": "learned", "max_length": 512},
}
"""BERT Base (Devlin et al. 2019), for one text at a time: without its vectors for first and second text."""

MODERNBERT: Fields = {
    "d_model": 768,
    "d_ff": 1152,
    "encoder_layers": 22,
    "decoder_layers": 0,
    "activation": "geglu",
    "bias": False,
    "dropout": 0.0,
    "scale_embeddings": False,
    "output_bias": True,
    "output_transform": True,
    "attention": {"num_heads": 12, "window": 64, "global_every": 3},
    "norm": {"position": "pre", "embedding": True, "first": False},
    "positions": {"kind": "rotary", "base": 160_000.0, "local_base": 10_000.0},
}
"""ModernBERT Base (Warner et al. 2024)."""

GPT2: Fields = {
    "d_model": 768,
    "d_ff": 3072,
    "encoder_layers": 0,
    "decoder_layers": 12,
    "activation": "gelu_tanh",
    "scale_embeddings": False,
    "attention": {"num_heads": 12},
    "norm": {"position": "pre"},
    "positions": {"kind": "learned"},
}
"""The smallest GPT-2 (Radford et al. 2019)."""

LLAMA: Fields = {
    **LLAMA_SHAPE,
    "d_model": 4096,
    "d_ff": 11_008,
    "encoder_layers": 0,
    "decoder_layers": 32,
    "dropout": 0.0,
    "tie_output": False,
    "attention": {"num_heads": 32},
    "norm": {"kind": "rms", "position": "pre", "epsilon": 1e-6},
}
"""LLaMA of 7 billion parameters (Touvron et al. 2023, Table 2)."""

QWEN3: Fields = {
    **LLAMA_SHAPE,
    "d_model": 1024,
    "d_ff": 3072,
    "encoder_layers": 0,
    "decoder_layers": 28,
    "dropout": 0.0,
    "attention": {"num_heads": 16, "num_kv_heads": 8, "d_key": 128, "d_value": 128, "normalize": True},
    "norm": {"kind": "rms", "position": "pre", "epsilon": 1e-6},
    "positions": {"kind": "rotary", "base": 1e6},
}
"""Qwen3 of 0.6 billion parameters (Yang et al. 2025, Table 1)."""

KNOWN: dict[str, Fields] = {
    "t5": T5,
    "bart": BART,
    "marian": MARIAN,
    "bert": BERT,
    "modernbert": MODERNBERT,
    "gpt2": GPT2,
    "llama": LLAMA,
    "qwen3": QWEN3,
}
"""Shapes of models that others have published; a vocabulary of their size gives their parameters."""

PRESETS: dict[str, Fields] = {
    "paper-base": {},
    "paper-big": BIG,
    **TABLE_3,
    "modern": {**LLAMA_SHAPE, "scale_embeddings": True},
    "pairs-small": {**SMALL, "encoder_layers": 3, "decoder_layers": 3, "norm": {"position": "pre"}},
    "causal-small": {**SMALL, **LLAMA_SHAPE, "d_ff": 704, "encoder_layers": 0, "decoder_layers": 4},
    "masked-small": {**SMALL, **LLAMA_SHAPE, "d_ff": 704, "encoder_layers": 4, "decoder_layers": 0},
    **KNOWN,
}


def preset(name: str) -> Fields:
    """The fields in which a preset differs from the paper's base model.

    Raises RecipeError for a name that is none.
    """
    if name not in PRESETS:
        raise RecipeError(f"model preset {name!r} does not exist: {did_you_mean(name, PRESETS)}")
    return PRESETS[name]


def preset_config(name: str, vocab_size: int, changes: Fields | None = None) -> TransformerConfig:
    """A preset at a vocabulary size, with fields changed."""
    fields = merged(preset(name), {"vocab_size": vocab_size, **(changes or {})})
    return from_table(TransformerConfig, fields)


def merged(fields: Fields, changes: Fields) -> dict[str, Any]:
    """The fields with changes put in, key by key also inside groups."""
    result = dict(fields)
    for key, value in changes.items():
        inner = result.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        result[key] = merged(inner, value) if both else value  # type: ignore[arg-type]
    return result
