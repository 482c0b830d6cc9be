"""GPT-NeoX: a pre-norm decoder with rotary positions; queries, keys and values lie together head by head."""

from collections.abc import Iterable

import torch
from torch import Tensor

from headway.interop.families.parts import affine, embeddings, read_rope, rope_parameters
from headway.interop.family import ACTIVATION_NAMES, Family, Reader, Settings, our_activation
from headway.interop.reparametrise import fold_embedding_scale
from headway.interop.rules import NO_EMBEDDING_NORM, NO_OUTPUT_BIAS, PLAIN_LAYERS, PRE_NORM, ROTARY
from headway.interop.weights import Entry, ignored, same
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig

AFFINE = {
    "mlp.dense_h_to_4h": "feed_forward.inner",
    "mlp.dense_4h_to_h": "feed_forward.output",
    "input_layernorm": "self_residual.norm",
    "post_attention_layernorm": "feed_forward_residual.norm",
}
CONSTANTS = ("bias", "masked_bias", "rotary_emb.inv_freq")
"""What older files hold of each attention."""


def to_config(config: TransformerConfig) -> Settings:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.decoder_layers,
        "num_attention_heads": config.attention.num_heads,
        "intermediate_size": config.d_ff,
        "hidden_act": ACTIVATION_NAMES[config.activation],
        "hidden_dropout": config.dropout,
        "attention_dropout": 0.0,
        "max_position_embeddings": config.positions.max_length,
        "layer_norm_eps": config.norm.epsilon,
        "tie_word_embeddings": config.tie_output,
        "use_parallel_residual": False,
        "rope_parameters": {**rope_parameters(config.positions.base), "partial_rotary_factor": 1.0},
        "attention_bias": config.bias,
    }


def extra(config: TransformerConfig) -> Settings:
    """Where programs of before look for rotary positions."""
    return {"rotary_pct": 1.0, "rotary_emb_base": config.positions.base}


def from_config(settings: Settings) -> TransformerConfig:
    read = Reader(settings)
    read.need("model_type", ["gpt_neox"], "gpt_neox", "a gpt_neox model is expected")
    read.need("use_parallel_residual", [False], True, "here feed-forward networks follow the attention")
    read.need("is_decoder", [False, True], False, "true or false is expected")
    rope = dict(settings.get("rope_parameters") or {})
    if "partial_rotary_factor" not in rope:
        read.need("rotary_pct", [1, 1.0], 0.25, "here rotary positions turn whole heads")
    if "rope_theta" not in rope:
        rope["rope_theta"] = read.take("rotary_emb_base", float, 10000.0)
    read.ignore("rotary_pct", "rotary_emb_base")
    config = TransformerConfig(
        vocab_size=read.take("vocab_size", int),
        encoder_layers=0,
        decoder_layers=read.take("num_hidden_layers", int),
        d_model=read.take("hidden_size", int),
        d_ff=read.take("intermediate_size", int),
        activation=our_activation(read.take("hidden_act", str, "gelu")),
        bias=read.take("attention_bias", bool, True),
        dropout=read.take("hidden_dropout", float, 0.0),
        tie_output=read.take("tie_word_embeddings", bool, False),
        scale_embeddings=False,
        attention=AttentionConfig(num_heads=read.take("num_attention_heads", int)),
        norm=NormConfig(position="pre", epsilon=read.take("layer_norm_eps", float, 1e-5)),
        positions=PositionConfig(
            kind="rotary",
            max_length=read.take("max_position_embeddings", int),
            base=read_rope(read, {**settings, "rope_parameters": rope}),
        ),
    )
    read.finish()
    return config


def entries(config: TransformerConfig) -> list[Entry]:
    return [
        *embeddings("gpt_neox.embed_in.weight", "embed_out.weight", config, also=("lm_head.weight",)),
        *affine("gpt_neox.final_layer_norm", "decoder.norm", config.d_model, config.bias),
        *(entry for i in range(config.decoder_layers) for entry in _layer(i, config)),
    ]


def _layer(number: int, config: TransformerConfig) -> Iterable[Entry]:
    there, here = f"gpt_neox.layers.{number}", f"decoder.layers.{number}"
    for part in ("weight", "bias") if config.bias else ("weight",):
        three = tuple(f"{here}.self_attention.{module}.{part}" for module in ("query", "key", "value"))
        yield _by_head(f"{there}.attention.query_key_value.{part}", three, config.attention.num_heads)
        yield same(f"{there}.attention.dense.{part}", f"{here}.self_attention.output.{part}")
    for theirs, ours in AFFINE.items():
        size = config.d_ff if ours.endswith("inner") else config.d_model
        yield from affine(f"{there}.{theirs}", f"{here}.{ours}", size, config.bias)
    for name in CONSTANTS:
        yield ignored(f"{there}.attention.{name}")


def _by_head(theirs: str, ours: tuple[str, ...], num_heads: int) -> Entry:
    """Three tensors in one: the rows of a head's query, key and value, then those of the next head."""

    def to_theirs(tensors: list[Tensor]) -> list[Tensor]:
        heads = [tensor.unflatten(0, (num_heads, -1)) for tensor in tensors]
        return [torch.stack(heads, dim=1).flatten(0, 2)]

    def to_ours(tensors: list[Tensor], _: list[torch.Size]) -> list[Tensor]:
        parts = tensors[0].unflatten(0, (num_heads, len(ours), -1)).unbind(1)
        return [part.flatten(0, 1) for part in parts]

    return Entry((theirs,), ours, to_theirs, to_ours)


GPT_NEOX = Family(
    name="gpt_neox",
    class_name="GPTNeoXForCausalLM",
    architecture="decoder",
    rules=(PRE_NORM, NO_EMBEDDING_NORM, ROTARY, *PLAIN_LAYERS, NO_OUTPUT_BIAS),
    to_config=to_config,
    from_config=from_config,
    entries=entries,
    changes=(fold_embedding_scale,),
    extra=extra,
)
