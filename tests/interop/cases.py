"""Families of encoders and decoders: settings in which theirs differ, and configs of ours that they hold."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from headway.interop.families.bert import BERT
from headway.interop.families.eurobert import EUROBERT
from headway.interop.families.gpt2 import GPT2
from headway.interop.families.gpt_neox import GPT_NEOX
from headway.interop.families.llama import LLAMA
from headway.interop.families.modernbert import MODERNBERT
from headway.interop.families.opt import OPT
from headway.interop.families.qwen3 import QWEN3
from headway.interop.families.roformer import ROFORMER
from headway.interop.family import Family
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from tests.interop.theirs import IDS, roughen

transformers = pytest.importorskip("transformers")

V, D = 40, 16
SIZES = {
    "vocab_size": V,
    "hidden_size": D,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
}


@dataclass(frozen=True)
class Case:
    """A family, settings of theirs in which its models differ, and configs of ours that it holds."""

    family: Family
    config_class: str
    theirs: dict[str, dict[str, Any]]
    ours: dict[str, TransformerConfig]
    unused: tuple[str, ...] = ()
    """Tensors of theirs that no output depends on; they may come back otherwise."""
    sizes: dict[str, Any] = field(default_factory=lambda: SIZES)


def encoder(**changes: Any) -> TransformerConfig:
    attention = changes.pop("attention", {})
    return TransformerConfig(
        vocab_size=V,
        encoder_layers=3,
        decoder_layers=0,
        d_model=D,
        d_ff=24,
        attention=AttentionConfig(num_heads=4, **attention),
        **changes,
    )


def decoder(**changes: Any) -> TransformerConfig:
    return replace(encoder(**changes), encoder_layers=0, decoder_layers=2)


def positions(kind: Any, **more: Any) -> PositionConfig:
    return PositionConfig(kind=kind, max_length=20, **more)


BERT_LIKE: dict[str, Any] = {
    "activation": "gelu",
    "norm": NormConfig(embedding=True, epsilon=1e-12),
    "output_transform": True,
    "output_bias": True,
}
BERT_OURS = {**BERT_LIKE, "positions": positions("learned")}
ROFORMER_OURS = {**BERT_LIKE, "positions": positions("rotary")}
PRE_RMS = NormConfig(kind="rms", position="pre", epsilon=1e-6)
LLAMA_OURS: dict[str, Any] = {
    "activation": "swiglu",
    "bias": False,
    "norm": PRE_RMS,
    "positions": positions("rotary"),
}
GPT2_OURS: dict[str, Any] = {
    "activation": "gelu_tanh",
    "norm": NormConfig(position="pre"),
    "positions": positions("learned"),
}
MODERN_OURS: dict[str, Any] = {
    "activation": "geglu",
    "bias": False,
    "norm": NormConfig(position="pre", embedding=True, first=False),
    "output_transform": True,
    "output_bias": True,
    "positions": positions("rotary", base=160000.0, local_base=10000.0),
    "attention": {"window": 2, "global_every": 3},
}
PLAIN_MODERN = {**MODERN_OURS, "attention": {}, "positions": positions("rotary", base=5000.0)}
GROUPED = {"num_kv_heads": 2}
WIDE_HEADS = {"num_kv_heads": 2, "d_key": 6, "d_value": 6}
CASES = [
    Case(
        BERT,
        "BertConfig",
        {
            "usual": {},
            "untied": {"tie_word_embeddings": False},
            "tanh": {"hidden_act": "gelu_new", "layer_norm_eps": 1e-5},
        },
        {
            "as BERT": encoder(scale_embeddings=False, **BERT_OURS),
            "scaled": encoder(**BERT_OURS),
            "untied": encoder(tie_output=False, **BERT_OURS),
            "waves, no biases": encoder(
                **BERT_LIKE | {"positions": positions("sinusoidal"), "bias": False, "output_bias": False}
            ),
        },
        ("bert.embeddings.token_type_embeddings.weight", "cls.predictions.bias"),
    ),
    Case(
        ROFORMER,
        "RoFormerConfig",
        {"usual": {}, "relu": {"hidden_act": "relu"}, "untied": {"tie_word_embeddings": False}},
        {
            "as RoFormer": encoder(scale_embeddings=False, **ROFORMER_OURS),
            "scaled, no biases": encoder(**ROFORMER_OURS | {"bias": False}),
        },
        ("roformer.embeddings.token_type_embeddings.weight", "cls.predictions.bias"),
    ),
    Case(
        EUROBERT,
        "EuroBertConfig",
        {
            "usual": {},
            "biased": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
            "grouped": {"num_key_value_heads": 2, "hidden_act": "gelu"},
            "theta": {"rope_parameters": {"rope_type": "default", "rope_theta": 250000.0}},
        },
        {
            "as EuroBERT": encoder(scale_embeddings=False, tie_output=False, **LLAMA_OURS),
            "scaled": encoder(**LLAMA_OURS, attention=GROUPED),
            "biased": encoder(**LLAMA_OURS | {"bias": True}),
            "biased throughout": encoder(**LLAMA_OURS | {"bias": True, "output_bias": True}),
            "wide heads": encoder(**LLAMA_OURS, attention=WIDE_HEADS),
        },
    ),
    Case(
        MODERNBERT,
        "ModernBertConfig",
        {
            "usual": {"local_attention": 4},
            "biased": {
                "local_attention": 6,
                "layer_types": ["full_attention", "sliding_attention", "full_attention"],
                **dict.fromkeys(("attention_bias", "mlp_bias", "norm_bias", "classifier_bias"), True),
            },
            "global": {"layer_types": ["full_attention"] * 3, "tie_word_embeddings": False},
            "local": {"layer_types": ["sliding_attention"] * 3, "local_attention": 4, "decoder_bias": False},
        },
        {
            "as ModernBERT": encoder(scale_embeddings=False, **MODERN_OURS),
            "scaled": encoder(**MODERN_OURS),
            "all local": encoder(**MODERN_OURS | {"attention": {"window": 1}}),
            "all global": encoder(**PLAIN_MODERN | {"bias": True, "output_bias": False}),
            "one base": encoder(**MODERN_OURS | {"positions": positions("rotary", base=300.0)}),
            "silu": encoder(**PLAIN_MODERN | {"activation": "swiglu"}),
        },
    ),
    Case(
        GPT2,
        "GPT2Config",
        {
            "usual": {},
            "untied": {"tie_word_embeddings": False, "activation_function": "relu", "n_inner": 24},
        },
        {
            "as GPT-2": decoder(scale_embeddings=False, **GPT2_OURS),
            "scaled": decoder(**GPT2_OURS),
            "untied": decoder(tie_output=False, **GPT2_OURS),
            "waves, no biases": decoder(**GPT2_OURS | {"positions": positions("sinusoidal"), "bias": False}),
        },
        sizes={"vocab_size": V, "n_embd": D, "n_layer": 2, "n_head": 4, "n_positions": 20},
    ),
    Case(
        OPT,
        "OPTConfig",
        {
            "usual": {},
            "norms after": {"do_layer_norm_before": False, "activation_function": "gelu"},
            "untied": {"tie_word_embeddings": False},
        },
        {
            "as OPT": decoder(scale_embeddings=False, **GPT2_OURS | {"activation": "relu"}),
            "the paper's order": decoder(**GPT2_OURS | {"norm": NormConfig()}),
            "the paper's, untied": decoder(tie_output=False, **GPT2_OURS | {"norm": NormConfig()}),
            "waves, no biases": decoder(**GPT2_OURS | {"positions": positions("sinusoidal"), "bias": False}),
        },
        ("model.decoder.embed_positions.weight",),
        {**{key: value for key, value in SIZES.items() if key != "intermediate_size"}, "ffn_dim": 24},
    ),
    Case(
        GPT_NEOX,
        "GPTNeoXConfig",
        {
            "whole heads": {"use_parallel_residual": False, "rotary_pct": 1.0},
            "tied": {"use_parallel_residual": False, "rotary_pct": 1.0, "tie_word_embeddings": True},
            "theta": {
                "use_parallel_residual": False,
                "rope_parameters": {"rope_theta": 300.0, "partial_rotary_factor": 1.0},
            },
        },
        {
            "as GPT-NeoX": decoder(
                scale_embeddings=False, tie_output=False, **GPT2_OURS | {"positions": positions("rotary")}
            ),
            "scaled, no biases": decoder(**GPT2_OURS | {"positions": positions("rotary"), "bias": False}),
        },
    ),
    Case(
        LLAMA,
        "LlamaConfig",
        {
            "usual": {},
            "grouped, tied": {"num_key_value_heads": 2, "tie_word_embeddings": True},
            "biased": {"attention_bias": True, "mlp_bias": True},
            "wide heads": {"head_dim": 6, "hidden_act": "gelu_pytorch_tanh"},
        },
        {
            "as Llama": decoder(scale_embeddings=False, tie_output=False, **LLAMA_OURS),
            "scaled": decoder(**LLAMA_OURS, attention=GROUPED),
            "biased": decoder(**LLAMA_OURS | {"bias": True, "activation": "geglu"}, attention=WIDE_HEADS),
        },
    ),
    Case(
        QWEN3,
        "Qwen3Config",
        {
            "usual": {"head_dim": 6, "num_key_value_heads": 2},
            "tied": {"head_dim": 4, "num_key_value_heads": 4, "tie_word_embeddings": True},
        },
        {
            "as Qwen3": decoder(
                scale_embeddings=False, **LLAMA_OURS, attention={"normalize": True, **WIDE_HEADS}
            ),
            "scaled": decoder(**LLAMA_OURS, attention={"normalize": True}),
        },
    ),
]


def random_model(case: Case, changes: dict[str, Any], class_name: str = "") -> Any:
    config_class: Callable[..., Any] = getattr(transformers, case.config_class)
    config = config_class(**case.sizes | IDS | changes)
    model = getattr(transformers, class_name or case.family.class_name)(config)
    roughen(model)
    if case.family is BERT or case.family is ROFORMER:
        trunk = getattr(model, case.family.name, model)
        trunk.embeddings.token_type_embeddings.weight.data[0] = 0
    if case.family is ROFORMER:
        waves = trunk.encoder.embed_positions
        waves.weight.data.copy_(waves.create_weight())
    return model.eval()


def case_of(family: Family) -> Case:
    return next(case for case in CASES if case.family is family)
