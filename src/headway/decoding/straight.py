"""Embeddings and layers without the ceremony of modules: for one row it takes as long as their products."""

from collections.abc import Callable
from functools import partial
from types import FunctionType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headway.model.attention import Attention
from headway.model.dropout import Dropout
from headway.model.embedding import Embedding
from headway.model.feed_forward import FeedForward
from headway.model.layer import Layer, Residual


def straighten(model: nn.Module) -> None:
    """Let embeddings and layers run on plain objects: what they compute stays, but dropout is gone.

    A module asks at each call for hooks, and finds each part and parameter by a search. Parameters are shared
    with the plain objects; modules that replace others later are not seen.
    """
    for module in model.modules():
        if isinstance(module, Layer | Embedding):
            module.forward = plain(module)  # type: ignore[method-assign]


def plain(module: nn.Module) -> Callable[..., Tensor]:
    """What the module computes when it does not train."""
    if type(module) is nn.Linear:
        return partial(F.linear, weight=module.weight, bias=module.bias)
    if type(module) is nn.Embedding:
        return partial(F.embedding, weight=module.weight)
    if type(module) is nn.LayerNorm:
        shape, epsilon = module.normalized_shape, module.eps
        return partial(
            torch.layer_norm, normalized_shape=shape, weight=module.weight, bias=module.bias, eps=epsilon
        )
    if isinstance(module, Dropout):
        return nn.Identity().forward
    if isinstance(module, Embedding | Layer | Residual | Attention | FeedForward):
        return _object_of(module)
    return module.forward


def _object_of(module: nn.Module) -> Callable[..., Tensor]:
    """An object with the methods and values of the module, and its parts made plain; a call is `forward`."""
    kind = type(module)
    methods = {name: value for name, value in vars(kind).items() if isinstance(value, FunctionType)}
    del methods["__init__"]
    result: Callable[..., Tensor] = type(kind.__name__, (), {**methods, "__call__": kind.forward})()
    vars(result).update(vars(module))
    vars(result).update({name: plain(part) for name, part in module.named_children()})
    return result
