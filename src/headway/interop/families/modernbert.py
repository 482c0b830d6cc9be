"""ModernBERT: a pre-norm encoder with rotary positions, gates, and windows in all but every n-th layer."""

from collections.abc import Iterable
from typing import Any

from headway.errors import FolderError
from headway.interop.families.bert_shape import TRANSFORM
from headway.interop.families.parts import (
    GATED,
    GATES,
    embeddings,
    our_gated_activation,
    rope_base,
    rope_parameters,
    stripped,
    where_biased,
)
from headway.interop.family import Family, Reader, Rule, Settings
from headway.interop.reparametrise import fold_embedding_scale
from headway.interop.rules import (
    ALL_KEY_HEADS,
    EMBEDDING_NORM,
    HEADS_FILL_MODEL,
    LAYER_NORM,
    NO_QUERY_NORM,
    PRE_NORM,
    ROTARY,
)
from headway.interop.weights import Entry, fused, same
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig

NO_FIRST_NORM = Rule(
    lambda config: not config.norm.first,
    "it does not normalize before its first self-attention",
    "model.norm.first=false",
)

GLOBAL, LOCAL = "full_attention", "sliding_attention"
OLD_BASES = {GLOBAL: ("global_rope_theta", 160000.0), LOCAL: ("local_rope_theta", 10000.0)}
"""What files of before call the base of each kind of layer, and what it is where they do not say."""

USUAL_WINDOW = 128
BARE = "ModernBertModel"
EVERYWHERE_OR_NOWHERE = "here layers and norms have biases everywhere or nowhere"


def to_config(config: TransformerConfig) -> Settings:
    kinds = [GLOBAL if config.window_of(i) is None else LOCAL for i in range(config.encoder_layers)]
    window, base = config.attention.window, config.positions.base
    local = OLD_BASES[LOCAL][1] if window is None else config.positions.local_base or base
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.encoder_layers,
        "num_attention_heads": config.attention.num_heads,
        "hidden_activation": GATES[config.activation],
        "classifier_activation": GATES[config.activation],
        "max_position_embeddings": config.positions.max_length,
        "norm_eps": config.norm.epsilon,
        **dict.fromkeys(("norm_bias", "attention_bias", "mlp_bias", "classifier_bias"), config.bias),
        "decoder_bias": config.output_bias,
        "layer_types": kinds,
        "local_attention": USUAL_WINDOW if window is None else 2 * window,  # on both sides together
        "rope_parameters": {GLOBAL: rope_parameters(base), LOCAL: rope_parameters(local)},
        "tie_word_embeddings": config.tie_output,
        **dict.fromkeys(("embedding_dropout", "mlp_dropout"), config.dropout),
        "attention_dropout": config.dropout,  # which is that of the sub-layer's output, too
    }


def from_config(settings: Settings) -> TransformerConfig:
    read = Reader(settings)
    read.need("model_type", ["modernbert"], "modernbert", "a modernbert model is expected")
    read.need("position_embedding_type", ["absolute", "sans_pos"], "absolute", "here positions are rotary")
    read.ignore("sparse_prediction", "sparse_pred_ignore_index", "deterministic_flash_attn", "layer_norm_eps")
    read.ignore("initializer_cutoff_factor", "reference_compile", "repad_logits_with_grad")
    bare = settings.get("architectures") == [BARE]
    layers, bias = read.take("num_hidden_layers", int), read.take("attention_bias", bool, False)
    for key in ("norm_bias", "mlp_bias", "classifier_bias"):
        read.need(key, [bias], False, EVERYWHERE_OR_NOWHERE)
    activation = read.take("hidden_activation", str, "gelu")
    read.need(
        "classifier_activation", [activation], "gelu", "here the prediction head has that of the layers"
    )
    window, every = _windows(read, layers)
    bases = _bases(read, settings)
    config = TransformerConfig(
        vocab_size=read.take("vocab_size", int),
        encoder_layers=layers,
        decoder_layers=0,
        d_model=read.take("hidden_size", int),
        d_ff=read.take("intermediate_size", int),
        activation=our_gated_activation(activation),
        bias=bias,
        dropout=read.take("mlp_dropout", float, 0.0),
        tie_output=read.take("tie_word_embeddings", bool, True) or bare,
        output_bias=read.take("decoder_bias", bool, True) and not bare,
        output_transform=not bare,
        scale_embeddings=False,
        attention=AttentionConfig(
            num_heads=read.take("num_attention_heads", int), window=window, global_every=every
        ),
        norm=NormConfig(
            position="pre", epsilon=read.take("norm_eps", float, 1e-5), embedding=True, first=False
        ),
        positions=PositionConfig(
            kind="rotary",
            max_length=read.take("max_position_embeddings", int),
            base=bases[GLOBAL],
            local_base=None if window is None else bases[LOCAL],
        ),
    )
    read.finish()
    return config


def _windows(read: Reader, layers: int) -> tuple[int | None, int | None]:
    """How far local layers see on each side, and every how many layers one is global."""
    usual = read.take("global_attn_every_n_layers", int, 3)
    window = read.take("local_attention", int, USUAL_WINDOW) // 2
    kinds = read.take("layer_types", list, [LOCAL if i % usual else GLOBAL for i in range(layers)])
    if len(kinds) == layers and set(kinds) == {GLOBAL}:
        return None, None
    for every in (None, *range(2, layers + 1)):
        if kinds == [LOCAL if every is None or i % every else GLOBAL for i in range(layers)]:
            return window, every
    raise FolderError("config.json: layer_types: here one in so many layers is global, from the first one on")


def _bases(read: Reader, settings: Settings) -> dict[str, float]:
    """The base of rotary positions of each kind of layer."""
    read.ignore("rope_scaling", "rope_parameters")
    if settings.get("rope_scaling") is not None:
        rope_base(settings["rope_scaling"], "rope_scaling")
    by_kind = settings.get("rope_parameters") or {}
    found = {}
    for kind, (old, usual) in OLD_BASES.items():
        default = read.take(old, float, usual)
        parameters: dict[str, Any] = by_kind.get(kind) or {}
        found[kind] = rope_base(parameters, f"rope_parameters.{kind}", default)
    return found


def entries(config: TransformerConfig) -> list[Entry]:
    bias, head = config.bias, config.output_transform
    found = [
        *embeddings("model.embeddings.tok_embeddings.weight", "decoder.weight", config),
        *where_biased("model.embeddings.norm", "embedding.norm", bias),
        *where_biased("model.final_norm", "encoder.norm", bias),
        *(where_biased("head.dense", "transform.dense", bias) if head else ()),
        *(where_biased("head.norm", "transform.norm", bias) if head else ()),
        *([same("decoder.bias", "output.bias")] if config.output_bias else []),
        *(entry for i in range(config.encoder_layers) for entry in _layer(i, bias)),
    ]
    return found if head else stripped(found, "model.")


def _layer(number: int, bias: bool) -> Iterable[Entry]:
    there, here = f"model.layers.{number}", f"encoder.layers.{number}"
    three = [f"{here}.self_attention.{module}" for module in ("query", "key", "value")]
    two = [f"{here}.feed_forward.{module}" for module in ("gate", "inner")]
    for part in ("weight", "bias") if bias else ("weight",):
        yield fused(f"{there}.attn.Wqkv.{part}", tuple(f"{name}.{part}" for name in three))
        yield fused(f"{there}.mlp.Wi.{part}", tuple(f"{name}.{part}" for name in two))
    yield from where_biased(f"{there}.attn.Wo", f"{here}.self_attention.output", bias)
    yield from where_biased(f"{there}.mlp.Wo", f"{here}.feed_forward.output", bias)
    if number:  # the first follows the norm of the embeddings
        yield from where_biased(f"{there}.attn_norm", f"{here}.self_residual.norm", bias)
    yield from where_biased(f"{there}.mlp_norm", f"{here}.feed_forward_residual.norm", bias)


MODERNBERT = Family(
    name="modernbert",
    class_name="ModernBertForMaskedLM",
    architecture="encoder",
    rules=(
        PRE_NORM,
        LAYER_NORM,
        EMBEDDING_NORM,
        NO_FIRST_NORM,
        ROTARY,
        GATED,
        ALL_KEY_HEADS,
        HEADS_FILL_MODEL,
        NO_QUERY_NORM,
        TRANSFORM,
    ),
    to_config=to_config,
    from_config=from_config,
    entries=entries,
    changes=(fold_embedding_scale,),
    bare_name=BARE,
)
