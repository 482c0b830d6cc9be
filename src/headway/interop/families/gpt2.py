"""GPT-2: a pre-norm decoder with learned positions; its matrices map rows to columns, as x W."""

from collections.abc import Iterable

from headway.interop.families.parts import (
    POSITION_TABLE,
    affine,
    embeddings,
    position_table,
    without_prefix,
)
from headway.interop.family import ACTIVATION_NAMES, Family, Reader, Settings, our_activation
from headway.interop.reparametrise import fold_embedding_scale
from headway.interop.rules import NO_EMBEDDING_NORM, NO_OUTPUT_BIAS, PLAIN_LAYERS, PRE_NORM
from headway.interop.weights import Entry, filled, fused, ignored
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig

PREFIX = "transformer."
MATRICES = {
    "attn.c_attn": ("self_attention.query", "self_attention.key", "self_attention.value"),
    "attn.c_proj": ("self_attention.output",),
    "mlp.c_fc": ("feed_forward.inner",),
    "mlp.c_proj": ("feed_forward.output",),
}
NORMS = {"ln_1": "self_residual.norm", "ln_2": "feed_forward_residual.norm"}


def to_config(config: TransformerConfig) -> Settings:
    return {
        "vocab_size": config.vocab_size,
        "n_positions": config.positions.max_length,
        "n_embd": config.d_model,
        "n_layer": config.decoder_layers,
        "n_head": config.attention.num_heads,
        "n_inner": config.d_ff,
        "activation_function": ACTIVATION_NAMES[config.activation],
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": 0.0,
        "layer_norm_epsilon": config.norm.epsilon,
        "tie_word_embeddings": config.tie_output,
    }


def extra(config: TransformerConfig) -> Settings:
    """What llama.cpp's converter asks for."""
    return {"n_ctx": config.positions.max_length}


def from_config(settings: Settings) -> TransformerConfig:
    read = Reader(settings)
    read.need("model_type", ["gpt2"], "gpt2", "a gpt2 model is expected")
    read.need("add_cross_attention", [False], False, "the model would need an encoder")
    read.need("scale_attn_weights", [True], True, "here scores are divided by the root of d_key")
    read.need("scale_attn_by_inverse_layer_idx", [False], False, "here scores are scaled alike in all layers")
    summary = ("type", "use_proj", "activation", "proj_to_labels", "first_dropout")
    read.ignore("reorder_and_upcast_attn", "n_ctx", *(f"summary_{key}" for key in summary))
    d_model = read.take("n_embd", int)
    config = TransformerConfig(
        vocab_size=read.take("vocab_size", int),
        encoder_layers=0,
        decoder_layers=read.take("n_layer", int),
        d_model=d_model,
        d_ff=read.take("n_inner", int, 4 * d_model),
        activation=our_activation(read.take("activation_function", str, "gelu_new")),
        dropout=read.take("resid_pdrop", float, 0.1),
        tie_output=read.take("tie_word_embeddings", bool, True),
        scale_embeddings=False,
        attention=AttentionConfig(num_heads=read.take("n_head", int)),
        norm=NormConfig(position="pre", epsilon=read.take("layer_norm_epsilon", float, 1e-5)),
        positions=PositionConfig(kind="learned", max_length=read.take("n_positions", int)),
    )
    read.finish()
    return config


def entries(config: TransformerConfig) -> list[Entry]:
    found = [
        *embeddings(f"{PREFIX}wte.weight", "lm_head.weight", config),
        position_table(f"{PREFIX}wpe.weight", config),
        *affine(f"{PREFIX}ln_f", "decoder.norm", config.d_model, config.bias),
        *(entry for i in range(config.decoder_layers) for entry in _layer(i, config)),
    ]
    return without_prefix(found, PREFIX)


def _layer(number: int, config: TransformerConfig) -> Iterable[Entry]:
    there, here = f"{PREFIX}h.{number}", f"decoder.layers.{number}"
    for theirs, modules in MATRICES.items():
        ours = tuple(f"{here}.{module}" for module in modules)
        yield fused(f"{there}.{theirs}.weight", tuple(f"{name}.weight" for name in ours), transpose=True)
        if config.bias:
            yield fused(f"{there}.{theirs}.bias", tuple(f"{name}.bias" for name in ours))
        else:
            size = config.d_ff if theirs == "mlp.c_fc" else len(ours) * config.d_model
            yield filled(f"{there}.{theirs}.bias", (size,), 0.0)
    for theirs, norm in NORMS.items():
        yield from affine(f"{there}.{theirs}", f"{here}.{norm}", config.d_model, config.bias)
    for mask in ("bias", "masked_bias"):  # constants of causality that older files hold
        yield ignored(f"{there}.attn.{mask}")


GPT2 = Family(
    name="gpt2",
    class_name="GPT2LMHeadModel",
    architecture="decoder",
    rules=(PRE_NORM, NO_EMBEDDING_NORM, POSITION_TABLE, *PLAIN_LAYERS, NO_OUTPUT_BIAS),
    to_config=to_config,
    from_config=from_config,
    entries=entries,
    changes=(fold_embedding_scale,),
    extra=extra,
)
