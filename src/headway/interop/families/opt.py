"""OPT: a decoder with norms before or after sub-layers and learned positions that begin at the third row."""

from collections.abc import Iterable

from headway.interop.families.parts import (
    POSITION_TABLE,
    affine,
    embeddings,
    position_table,
    where_biased,
)
from headway.interop.family import ACTIVATION_NAMES, Family, Reader, Settings, our_activation
from headway.interop.reparametrise import fold_embedding_scale
from headway.interop.rules import EPSILON_FIXED, NO_EMBEDDING_NORM, NO_OUTPUT_BIAS, PLAIN_LAYERS
from headway.interop.weights import Entry
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig

PREFIX = "model.decoder"
LINEAR = {
    "self_attn.q_proj": "self_attention.query",
    "self_attn.k_proj": "self_attention.key",
    "self_attn.v_proj": "self_attention.value",
    "self_attn.out_proj": "self_attention.output",
    "fc1": "feed_forward.inner",
    "fc2": "feed_forward.output",
}
NORMS = {"self_attn_layer_norm": "self_residual.norm", "final_layer_norm": "feed_forward_residual.norm"}
UNUSED_ROWS = 2


def to_config(config: TransformerConfig) -> Settings:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "word_embed_proj_dim": config.d_model,
        "num_hidden_layers": config.decoder_layers,
        "num_attention_heads": config.attention.num_heads,
        "ffn_dim": config.d_ff,
        "max_position_embeddings": config.positions.max_length,
        "do_layer_norm_before": config.norm.position == "pre",
        "enable_bias": config.bias,
        "layer_norm_elementwise_affine": True,
        "activation_function": ACTIVATION_NAMES[config.activation],
        "dropout": config.dropout,
        "attention_dropout": 0.0,
        "layerdrop": 0.0,
        "tie_word_embeddings": config.tie_output,
    }


def from_config(settings: Settings) -> TransformerConfig:
    read = Reader(settings)
    read.need("model_type", ["opt"], "opt", "an opt model is expected")
    d_model, first = read.take("hidden_size", int), read.take("do_layer_norm_before", bool, True)
    read.need("word_embed_proj_dim", [d_model], d_model, "here embeddings are as wide as the model")
    read.need("layer_norm_elementwise_affine", [True], True, "here norms have weights")
    read.need("_remove_final_layer_norm", [False], False, "here a norm follows the last layer")
    config = TransformerConfig(
        vocab_size=read.take("vocab_size", int),
        encoder_layers=0,
        decoder_layers=read.take("num_hidden_layers", int),
        d_model=d_model,
        d_ff=read.take("ffn_dim", int),
        activation=our_activation(read.take("activation_function", str, "relu")),
        bias=read.take("enable_bias", bool, True),
        dropout=read.take("dropout", float, 0.1),
        tie_output=read.take("tie_word_embeddings", bool, True),
        scale_embeddings=False,
        attention=AttentionConfig(num_heads=read.take("num_attention_heads", int)),
        norm=NormConfig(position="pre" if first else "post"),
        positions=PositionConfig(kind="learned", max_length=read.take("max_position_embeddings", int)),
    )
    read.finish()
    return config


def entries(config: TransformerConfig) -> list[Entry]:
    return [
        *embeddings(f"{PREFIX}.embed_tokens.weight", "lm_head.weight", config),
        position_table(f"{PREFIX}.embed_positions.weight", config, UNUSED_ROWS),
        *(_norm("final_layer_norm", "decoder.norm", config) if config.norm.position == "pre" else ()),
        *(entry for i in range(config.decoder_layers) for entry in _layer(i, config)),
    ]


def _layer(number: int, config: TransformerConfig) -> Iterable[Entry]:
    for theirs, ours in LINEAR.items():
        there, here = f"{PREFIX}.layers.{number}.{theirs}", f"decoder.layers.{number}.{ours}"
        yield from where_biased(there, here, config.bias)
    for theirs, ours in NORMS.items():
        yield from _norm(f"layers.{number}.{theirs}", f"decoder.layers.{number}.{ours}", config)


def _norm(theirs: str, ours: str, config: TransformerConfig) -> Iterable[Entry]:
    return affine(f"{PREFIX}.{theirs}", ours, config.d_model, config.bias)


OPT = Family(
    name="opt",
    class_name="OPTForCausalLM",
    architecture="decoder",
    rules=(EPSILON_FIXED, NO_EMBEDDING_NORM, POSITION_TABLE, *PLAIN_LAYERS, NO_OUTPUT_BIAS),
    to_config=to_config,
    from_config=from_config,
    entries=entries,
    changes=(fold_embedding_scale,),
)
