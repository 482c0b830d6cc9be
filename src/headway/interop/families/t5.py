"""T5 (Raffel et al. 2020): pre-norm with RMS, no biases, positions as biases by distance."""

from collections.abc import Iterable

from headway.errors import FolderError
from headway.interop.family import Family, Reader, Rule, Settings
from headway.interop.reparametrise import fold_embedding_scale, fold_key_scale, fold_output_scale
from headway.interop.rules import (
    ALL_KEY_HEADS,
    EQUAL_SIZES,
    FIRST_NORM,
    NO_BIAS,
    NO_EMBEDDING_NORM,
    NO_OUTPUT_BIAS,
    NO_QUERY_NORM,
    NO_TRANSFORM,
    NO_WINDOW,
    ONE_VOCABULARY,
    PRE_NORM,
    RELATIVE,
    RMS_NORM,
)
from headway.interop.weights import Entry, same
from headway.model.config import (
    Activation,
    AttentionConfig,
    NormConfig,
    PositionConfig,
    TransformerConfig,
)

FEED_FORWARDS: dict[Activation, str] = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_tanh": "gelu_new",
    "silu": "silu",
    "geglu_tanh": "gated-gelu",
    "geglu": "gated-gelu_python",  # their "gated-gelu" is the approximation
    "swiglu": "gated-silu",
}
THEIR_FEED_FORWARDS: dict[str, Activation] = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "silu": "silu",
    "gated-gelu": "geglu_tanh",
    "gated-gelu_new": "geglu_tanh",
    "gated-gelu_python": "geglu",
    "gated-silu": "swiglu",
}

SHARED_EMBEDDINGS = Rule(
    lambda config: config.shares_embeddings,
    "it has one embedding matrix for source and target",
    "model.share_embeddings=true",
)

PROJECTIONS = {"q": "query", "k": "key", "v": "value", "o": "output"}
EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
HEAD = "lm_head.weight"


def _to_config(config: TransformerConfig) -> Settings:
    return {
        "vocab_size": config.vocab_size,
        "d_model": config.d_model,
        "d_kv": config.d_key,
        "d_ff": config.d_ff,
        "num_layers": config.encoder_layers,
        "num_decoder_layers": config.decoder_layers,
        "num_heads": config.attention.num_heads,
        "relative_attention_num_buckets": config.positions.buckets,
        "relative_attention_max_distance": config.positions.max_distance,
        "dropout_rate": config.dropout,
        "layer_norm_epsilon": config.norm.epsilon,
        "feed_forward_proj": FEED_FORWARDS[config.activation],
        "is_encoder_decoder": True,
        "tie_word_embeddings": config.tie_output,
        "scale_decoder_outputs": config.tie_output,
    }


def _from_config(settings: Settings) -> TransformerConfig:
    read = Reader(settings)
    read.need("model_type", ["t5"], "t5", "a T5 model is expected")
    read.need("is_decoder", [False], False, "the model would be a decoder alone")
    read.ignore("output_past", "n_positions", "dense_act_fn", "is_gated_act", "max_position_embeddings")
    activation = read.take("feed_forward_proj", str, "relu")
    if activation not in THEIR_FEED_FORWARDS:
        known = ", ".join(sorted(THEIR_FEED_FORWARDS))
        raise FolderError(
            f"config.json: feed_forward_proj = {activation!r} is not known here; known: {known}"
        )
    # Their code ties whatever the file says, and scales unless it says that nothing is tied; only a head of
    # its own in the weights, which goes with outputs not scaled, is ever untied.
    scaled = read.take("scale_decoder_outputs", bool, read.take("tie_word_embeddings", bool, True))
    layers = read.take("num_layers", int)
    config = TransformerConfig(
        vocab_size=read.take("vocab_size", int),
        encoder_layers=layers,
        decoder_layers=read.take("num_decoder_layers", int, layers),
        d_model=read.take("d_model", int),
        d_ff=read.take("d_ff", int),
        activation=THEIR_FEED_FORWARDS[activation],
        bias=False,
        dropout=read.take("dropout_rate", float, 0.1),
        tie_output=scaled,
        scale_embeddings=False,
        attention=AttentionConfig(
            num_heads=read.take("num_heads", int),
            d_key=read.take("d_kv", int),
            d_value=read.take("d_kv", int),
        ),
        norm=NormConfig(kind="rms", position="pre", epsilon=read.take("layer_norm_epsilon", float, 1e-6)),
        positions=PositionConfig(
            kind="relative",
            buckets=read.take("relative_attention_num_buckets", int, 32),
            max_distance=read.take("relative_attention_max_distance", int, 128),
        ),
    )
    read.finish()
    return config


def _entries(config: TransformerConfig) -> list[Entry]:
    shared, source, target = EMBEDDINGS
    tied = (HEAD,) if config.tie_output else ()
    entries = [same(shared, "embedding.tokens.weight", also=(source, target, *tied))]
    if not config.tie_output:
        entries.append(same(HEAD, "output.weight"))
    for stack, count in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        first = f"{stack}.block.0.layer.0.SelfAttention"
        entries.append(same(f"{first}.relative_attention_bias.weight", f"{stack}.relative.table.weight"))
        entries.append(same(f"{stack}.final_layer_norm.weight", f"{stack}.norm.weight"))
        for i in range(count):
            entries += _layer(f"{stack}.block.{i}.layer", f"{stack}.layers.{i}", config)
    return entries


def _layer(theirs: str, ours: str, config: TransformerConfig) -> Iterable[Entry]:
    attentions = [("SelfAttention", "self")]
    if ours.startswith("decoder"):
        attentions.append(("EncDecAttention", "memory"))
    for i, (name, sees) in enumerate(attentions):
        yield same(f"{theirs}.{i}.layer_norm.weight", f"{ours}.{sees}_residual.norm.weight")
        for projection, module in PROJECTIONS.items():
            yield same(f"{theirs}.{i}.{name}.{projection}.weight", f"{ours}.{sees}_attention.{module}.weight")
    there, here = f"{theirs}.{len(attentions)}", f"{ours}.feed_forward"
    yield same(f"{there}.layer_norm.weight", f"{here}_residual.norm.weight")
    yield same(f"{there}.DenseReluDense.wo.weight", f"{here}.output.weight")
    if "glu" in config.activation:
        yield same(f"{there}.DenseReluDense.wi_0.weight", f"{here}.gate.weight")
        yield same(f"{there}.DenseReluDense.wi_1.weight", f"{here}.inner.weight")
    else:
        yield same(f"{there}.DenseReluDense.wi.weight", f"{here}.inner.weight")


T5 = Family(
    name="t5",
    class_name="T5ForConditionalGeneration",
    architecture="encoder-decoder",
    rules=(
        PRE_NORM,
        RMS_NORM,
        RELATIVE,
        NO_BIAS,
        FIRST_NORM,
        NO_EMBEDDING_NORM,
        ALL_KEY_HEADS,
        EQUAL_SIZES,
        NO_QUERY_NORM,
        NO_WINDOW,
        NO_TRANSFORM,
        NO_OUTPUT_BIAS,
        ONE_VOCABULARY,
        SHARED_EMBEDDINGS,
    ),
    to_config=_to_config,
    from_config=_from_config,
    entries=_entries,
    changes=(fold_embedding_scale, fold_key_scale, fold_output_scale),
)
