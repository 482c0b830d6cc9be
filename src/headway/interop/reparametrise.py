"""Exact rewrites of our weights: the same function, said as another library's model says it."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from headway.interop.weights import Weights
from headway.model.config import TransformerConfig


@dataclass(frozen=True)
class Rewrite:
    """Weights to weights of the same names and shapes, and back."""

    there: Callable[[Weights], Weights]
    back: Callable[[Weights], Weights]


def split_waves(config: TransformerConfig) -> Rewrite:
    """Orders the residual stream for sinusoids laid out [sin … | cos …] rather than sin, cos, sin, cos, …

    The stream of width d_model has no order of its own: what writes to it and what reads from it change
    alike (Paper §3.5 gives the alternating one).
    """
    order = torch.cat((torch.arange(0, config.d_model, 2), torch.arange(1, config.d_model, 2)))
    return Rewrite(lambda w: _permuted(w, order), lambda w: _permuted(w, order.argsort()))


def fold_embedding_scale(config: TransformerConfig) -> Rewrite:
    """√d_model into the embeddings (Paper §3.4), for models that do not scale them.

    A tied output projection grows with them, so what precedes it is divided by as much.
    """
    if not config.scale_embeddings:
        return _scaled({})
    factor = math.sqrt(config.d_model)
    factors = dict.fromkeys(("embedding.tokens.weight", "source_embedding.tokens.weight"), factor)
    if config.tie_output:
        factors |= dict.fromkeys(last_norm(config), 1 / factor)
    return _scaled(factors)


def fold_key_scale(config: TransformerConfig) -> Rewrite:
    """1/√d_key (Paper eq. 1) into the query projections, for models that do not divide scores by it."""
    names = [
        f"{stack}.layers.{i}.{kind}.query.{part}"
        for stack, count in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers))
        for i in range(count)
        for kind in ("self_attention", "memory_attention")
        for part in ("weight", "bias")
    ]
    return _scaled(dict.fromkeys(names, 1 / math.sqrt(config.d_key)))


def fold_output_scale(config: TransformerConfig) -> Rewrite:
    """√d_model into the last norm, for models that divide by it before a tied output projection."""
    return _scaled(dict.fromkeys(last_norm(config), math.sqrt(config.d_model)) if config.tie_output else {})


def interleave_rotary(config: TransformerConfig) -> Rewrite:
    """Orders each head's queries and keys for rotations of neighbours (2i, 2i+1) rather than (i, i + E/2)."""
    half = config.d_key // 2
    order = torch.arange(config.d_key).view(2, half).T.flatten()
    return Rewrite(lambda w: _heads_permuted(w, order), lambda w: _heads_permuted(w, order.argsort()))


def last_norm(config: TransformerConfig) -> tuple[str, str]:
    """The weight and bias of the norm right before the output projection."""
    stack = "decoder" if config.decoder_layers else "encoder"
    if config.output_transform:
        norm = "transform.norm"
    elif config.norm.position == "pre":
        norm = f"{stack}.norm"
    else:
        last = (config.decoder_layers or config.encoder_layers) - 1
        norm = f"{stack}.layers.{last}.feed_forward_residual.norm"
    return f"{norm}.weight", f"{norm}.bias"


def stream_axes(name: str) -> tuple[int, ...]:
    """The axes of one of our tensors that run along the residual stream, of width d_model."""
    *path, module, part = name.split(".")
    if name == "output.weight":
        return (1,)  # the projection to the vocabulary
    match module, part:
        case ("tokens" | "query" | "key" | "value" | "inner" | "gate", "weight"):
            return (1,)
        case ("table", "weight") if path[-1:] == ["positions"]:
            return (1,)
        case ("output", "weight"):
            return (0,)
        case ("output", "bias") if path:
            return (0,)
        case ("dense", "weight"):
            return (0, 1)
        case ("dense" | "norm", _):
            return (0,)
    return ()


def _permuted(weights: Weights, order: Tensor) -> Weights:
    result = dict(weights)
    for name in weights:
        for axis in stream_axes(name):
            result[name] = result[name].index_select(axis, order.to(result[name].device))
    return result


def _heads_permuted(weights: Weights, order: Tensor) -> Weights:
    result = dict(weights)
    for name, tensor in weights.items():
        module = name.split(".")[-2]
        if "self_attention" in name and module in ("query", "key", "query_norm", "key_norm"):
            heads = tensor.unflatten(0, (-1, len(order)))
            result[name] = heads.index_select(1, order.to(tensor.device)).flatten(0, 1)
    return result


def _scaled(factors: dict[str, float]) -> Rewrite:
    def by(weights: Weights, factor_of: Callable[[float], float]) -> Weights:
        changed: Iterable[str] = factors.keys() & weights.keys()
        return weights | {name: weights[name] * factor_of(factors[name]) for name in changed}

    return Rewrite(lambda w: by(w, lambda factor: factor), lambda w: by(w, lambda factor: 1 / factor))
