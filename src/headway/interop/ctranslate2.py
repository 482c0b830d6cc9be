"""Models for CTranslate2, a fast engine for one machine: our weights in its own layout, no class between."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import tokenizers
import torch
from torch import Tensor

from headway.bundle import SOURCE_TOKENIZER, TOKENIZER, Bundle, config_file
from headway.errors import UserError
from headway.interop.family import Rule, refused
from headway.interop.rules import EQUAL_SIZES, FIRST_NORM, NO_WINDOW
from headway.model.architectures import Transformer
from headway.model.config import TransformerConfig
from headway.model.positions import Positions, SinusoidalPositions
from headway.text.tokenizer import Tokenizer

Type = Literal["float32", "float16", "bfloat16", "int8"]
TYPES: tuple[Type, ...] = get_args(Type)
"""How weights may be stored; int8 = matrices in 8 bits with a scale for each row, the rest in float32."""

OURS = "headway.json"
"""What the engine's own files do not say: our config, and how the model is used."""

LARGEST_INT8 = 63
"""Of a weight: with 127, as is usual, processors without instructions for such products (VNNI) let sums of
two overflow, and outputs change. 7 bits are safe everywhere."""

FEWEST_POSITIONS = 2048
"""Rows, at least, of a table of positions that ours computes and the engine reads."""

Array = npt.NDArray[np.float32]
Weights = Mapping[str, Array]


RULES = (
    Rule(lambda c: c.architecture != "encoder", "its encoders have no head that predicts masked tokens", ""),
    EQUAL_SIZES,
    NO_WINDOW,
    FIRST_NORM,
    Rule(
        lambda c: c.positions.kind != "alibi" or c.architecture == "decoder",
        "its encoders have no ALiBi",
        "model.positions.kind=rotary",
    ),
    Rule(
        lambda c: not c.attention.normalize or c.architecture == "decoder",
        "it normalizes no queries and keys where a decoder attends to a source",
        "model.attention.normalize=false",
    ),
)
"""What a model must be for the engine to compute the same function."""

ACTIVATION_NAMES = {
    "relu": "RELU",
    "gelu": "GELU",
    "gelu_tanh": "GELUTanh",
    "silu": "SWISH",
    "swiglu": "SWISH",
    "geglu": "GELU",
    "geglu_tanh": "GELUTanh",
}


def need_ctranslate2() -> Any:
    """The package. Raises UserError if it is not installed."""
    try:
        import ctranslate2
    except ImportError as error:
        raise UserError("this needs the package ctranslate2: pip install 'headway[interop]'") from error
    return ctranslate2


def refuse(config: TransformerConfig) -> None:
    """Raises UserError with the reasons if the engine cannot hold the model."""
    broken = [rule for rule in RULES if not rule.holds(config)]
    if broken:
        raise UserError(f"CTranslate2 cannot hold this model: {refused(broken)}")


def convert(bundle: Bundle, folder: Path, type: Type = "float32") -> None:
    """Writes into an existing, empty folder all that `open_engine` and CTranslate2 need.

    Raises UserError if the engine cannot hold the model.
    """
    refuse(bundle.config)
    spec = make_spec(bundle)
    need_ctranslate2()
    from ctranslate2.converters import Converter

    class OurConverter(Converter):  # type: ignore[misc]
        """Gives the engine's own converter a spec that is ready."""

        def _load(self) -> Any:
            return spec

    if type == "int8":
        _to_int8(spec)
    OurConverter().convert(str(folder), quantization=None if type == "int8" else type, force=True)
    source, target = bundle.tokenizers
    (folder / OURS).write_text(json.dumps(asdict(config_file(bundle)), indent=2) + "\n", "utf-8")
    (folder / TOKENIZER).write_text(target.to_json(), encoding="utf-8", newline="")
    if source is not None and source is not target:
        (folder / SOURCE_TOKENIZER).write_text(source.to_json(), encoding="utf-8", newline="")


def make_spec(bundle: Bundle) -> Any:
    """The model as CTranslate2 describes one, weights and vocabularies included."""
    need_ctranslate2()
    from ctranslate2.specs import TransformerDecoderModelSpec, TransformerSpec

    config, (source, target) = bundle.config, bundle.tokenizers
    # Copies: the engine's converter changes arrays in place, and these would be the model's own.
    state = bundle.model.state_dict()
    weights = {name: tensor.float().cpu().numpy().copy() for name, tensor in state.items()}
    rows = position_rows(bundle)
    decoder = _decoder_spec(config)
    _set_stack(decoder, weights, config, "decoder")
    _set_embedding(decoder, decoder.embeddings, weights["embedding.tokens.weight"], config)
    _set_positions(decoder, bundle.model, rows, "embedding")
    _set_linear(decoder.projection, weights, "output")
    names = token_names(target, config.vocab_size)
    if config.architecture == "decoder":
        spec = TransformerDecoderModelSpec(decoder)
        spec.register_vocabulary(names)
    else:
        assert source is not None, "an encoder-decoder has a source tokenizer"
        source_names = token_names(source, config.source_vocab_size or config.vocab_size)
        encoder = _encoder_spec(config)
        _set_stack(encoder, weights, config, "encoder")
        _set_embedding(encoder, encoder.embeddings[0], weights["source_embedding.tokens.weight"], config)
        _set_positions(encoder, bundle.model, rows, "source_embedding")
        spec = TransformerSpec(encoder, decoder)
        spec.register_source_vocabulary(source_names)
        spec.register_target_vocabulary(names)
    special = target.special
    start = names[special.end if special.begin is None else special.begin]
    spec.config.eos_token, spec.config.bos_token = names[special.end], start
    spec.config.unk_token = names[special.end if special.unknown is None else special.unknown]
    spec.config.layer_norm_epsilon = config.norm.epsilon
    if source is not None:
        spec.config.decoder_start_token = start
        spec.config.add_source_eos = True
        if source.special.source_begin is not None:
            spec.config.add_source_bos = True
            spec.config.bos_token = source_names[source.special.source_begin]
    return spec


def _to_int8(spec: Any) -> None:
    """Matrices in integers of at most LARGEST_INT8, with a factor for each row."""
    from ctranslate2.specs.model_spec import visit_spec

    def quantize(layer: Any, name: str, value: Any) -> None:
        part = name.rpartition("/")[2]
        if isinstance(value, np.ndarray) and hasattr(layer, f"{part}_scale"):
            largest = np.abs(value).max(axis=1)
            scale = np.float32(LARGEST_INT8) / np.where(largest > 0, largest, 1)
            setattr(layer, part, np.rint(value * scale[:, None]).astype(np.int8))
            setattr(layer, f"{part}_scale", scale)

    visit_spec(spec, quantize)


def position_rows(bundle: Bundle) -> int:
    """Positions that the converted model has rows for."""
    if bundle.config.positions.kind == "learned":
        return bundle.config.positions.max_length
    return max(FEWEST_POSITIONS, 2 * max(bundle.meta.longest_source, bundle.meta.longest_target))


def token_names(tokenizer: Tokenizer, size: int) -> list[str]:
    """The spelling of each of `size` ids; those without a token get one of their own."""
    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    by_id = {index: name for name, index in library.get_vocab(with_added_tokens=True).items()}
    taken = set(by_id.values())
    names = []
    for index in range(size):
        name = by_id.get(index)
        if name is None:
            name = f"<unused_{index}>"
            while name in taken:
                name = f"<{name}>"
        names.append(name)
    return names


def _shared(config: TransformerConfig) -> dict[str, Any]:
    """What specs of encoders and decoders are told alike."""
    from ctranslate2.specs import common_spec

    own_size = config.d_key * config.attention.num_heads != config.d_model
    rotary = config.positions.kind == "rotary"
    return {
        "num_heads": config.attention.num_heads,
        "pre_norm": config.norm.position == "pre",
        "activation": getattr(common_spec.Activation, ACTIVATION_NAMES[config.activation]),
        "layernorm_embedding": config.norm.embedding,
        "relative_attention_bias": config.positions.kind == "relative",
        "ffn_glu": "glu" in config.activation,
        "rms_norm": config.norm.kind == "rms",
        "rotary_dim": 0 if rotary else None,
        "rotary_interleave": False,
        "rotary_base": config.positions.base,
        "num_heads_kv": None if config.num_kv_heads == config.attention.num_heads else config.num_kv_heads,
        "head_dim": config.d_key if own_size else None,
        "qk_norm": config.attention.normalize,
    }


def _encoder_spec(config: TransformerConfig) -> Any:
    from ctranslate2.specs import TransformerEncoderSpec

    return TransformerEncoderSpec(config.encoder_layers, **_shared(config))


def _decoder_spec(config: TransformerConfig) -> Any:
    from ctranslate2.specs import TransformerDecoderSpec

    return TransformerDecoderSpec(
        config.decoder_layers,
        with_encoder_attention=config.architecture == "encoder-decoder",
        alibi=config.positions.kind == "alibi",
        **_shared(config),
    )


def _set_embedding(stack: Any, embedding: Any, weight: Array, config: TransformerConfig) -> None:
    stack.scale_embeddings = config.scale_embeddings
    embedding.weight = weight


def _set_positions(stack: Any, model: Transformer, rows: int, name: str) -> None:
    """Its own waves have other frequencies and begin at 1: ours are written out; with none, zeros are."""
    if not hasattr(stack, "position_encodings"):
        return
    config = model.config
    kind = config.positions.kind
    if kind == "learned":
        table: Tensor = model.get_parameter(f"{name}.positions.table.weight")
    elif kind == "sinusoidal":
        waves = SinusoidalPositions(config.d_model, config.positions.base)
        table = waves(Positions(torch.arange(rows)[None], rows))[0]
    elif kind == "none":
        table = torch.zeros(rows, config.d_model)
    else:
        return
    stack.position_encodings.encodings = table.detach().float().cpu().numpy()


def _set_stack(stack: Any, weights: Weights, config: TransformerConfig, name: str) -> None:
    if config.norm.position == "pre":
        _set_norm(stack.layer_norm, weights, f"{name}.norm")
    if config.norm.embedding:
        _set_norm(
            stack.layernorm_embedding,
            weights,
            "embedding.norm" if name == "decoder" else "source_embedding.norm",
        )
    for i, layer in enumerate(stack.layer):
        prefix = f"{name}.layers.{i}"
        _set_attention(layer.self_attention, weights, f"{prefix}.self", fused=("query", "key", "value"))
        if config.positions.kind == "relative":
            layer.self_attention.relative_attention_bias = weights[f"{name}.relative.table.weight"]
            layer.self_attention.relative_attention_max_distance = np.int32(config.positions.max_distance)
        if hasattr(layer, "attention"):
            _set_attention(layer.attention, weights, f"{prefix}.memory", fused=("key", "value"))
        _set_norm(layer.ffn.layer_norm, weights, f"{prefix}.feed_forward_residual.norm")
        inner, gate = f"{prefix}.feed_forward.inner", f"{prefix}.feed_forward.gate"
        gated = hasattr(layer.ffn, "linear_0_noact")
        _set_linear(layer.ffn.linear_0, weights, gate if gated else inner)
        if gated:
            _set_linear(layer.ffn.linear_0_noact, weights, inner)
        _set_linear(layer.ffn.linear_1, weights, f"{prefix}.feed_forward.output")


def _set_attention(spec: Any, weights: Weights, name: str, fused: Sequence[str]) -> None:
    """`name` is what stands before _attention and _residual; `fused` are computed in one product."""
    parts = [f"{name}_attention.{part}" for part in fused]
    if len(spec.linear) == 3:
        _set_linear(spec.linear[0], weights, f"{name}_attention.query")
    products = spec.linear[-2]
    products.weight = np.concatenate([weights[f"{part}.weight"] for part in parts])
    if f"{parts[0]}.bias" in weights:
        products.bias = np.concatenate([weights[f"{part}.bias"] for part in parts])
    _set_linear(spec.linear[-1], weights, f"{name}_attention.output")
    if hasattr(spec, "q_norm"):
        _set_norm(spec.q_norm, weights, f"{name}_attention.query_norm")
        _set_norm(spec.k_norm, weights, f"{name}_attention.key_norm")
    _set_norm(spec.layer_norm, weights, f"{name}_residual.norm")


def _set_linear(spec: Any, weights: Weights, name: str) -> None:
    spec.weight = weights[f"{name}.weight"]
    if f"{name}.bias" in weights:
        spec.bias = weights[f"{name}.bias"]


def _set_norm(spec: Any, weights: Weights, name: str) -> None:
    """A layer norm without its beta would be taken for an RMSNorm, so that a missing one is zeros."""
    spec.gamma = weights[f"{name}.weight"]
    if hasattr(spec, "beta"):
        spec.beta = weights.get(f"{name}.bias", np.zeros_like(spec.gamma))
