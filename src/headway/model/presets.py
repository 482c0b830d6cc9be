"""Named shapes: the paper's Table 3, a modern one, and a small one for each objective."""

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

PRESETS: dict[str, Fields] = {
    "paper-base": {},
    "paper-big": BIG,
    **TABLE_3,
    "modern": {**LLAMA_SHAPE, "scale_embeddings": True},
    "pairs-small": {**SMALL, "encoder_layers": 3, "decoder_layers": 3, "norm": {"position": "pre"}},
    "causal-small": {**SMALL, **LLAMA_SHAPE, "d_ff": 704, "encoder_layers": 0, "decoder_layers": 4},
    "masked-small": {**SMALL, **LLAMA_SHAPE, "d_ff": 704, "encoder_layers": 4, "decoder_layers": 0},
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
