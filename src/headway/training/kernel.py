"""How layers are computed in training: which kernel attends, what is kept inside, compiled or as they are."""

from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from headway.errors import RecipeError
from headway.model.backends import KERNELS, Backend
from headway.model.layer import Layer
from headway.model.mask import AttentionMask
from headway.model.stack import Stack
from headway.runtime import Kernel, Precision, best_seconds, measured_once

CLEARLY_FASTER = 1.2


def choose_kernel(
    wanted: Literal["auto", "sdpa", "matmul"], device: torch.device, precision: Precision
) -> Kernel:
    """The wanted one; for "auto", matrix products where they are clearly faster for rows of common length."""
    if wanted != "auto":
        return wanted
    if device.type != "cpu":
        return "sdpa"
    speedup = measured_once(f"attention-{precision}", partial(_speedup_of_matmul, precision))
    return "matmul" if speedup >= CLEARLY_FASTER else "sdpa"


def use_kernel(model: nn.Module, kernel: Kernel) -> None:
    """Every stack of the model computes with it from now on."""
    for module in model.modules():
        if isinstance(module, Stack):
            module.backend = KERNELS[kernel]


def recompute_layers(model: nn.Module) -> None:
    """Layers compute their inner results again for the backward pass, and keep none (Chen et al. 2016)."""
    for module in model.modules():
        if isinstance(module, Layer):
            module.forward = partial(checkpoint, module.forward, use_reentrant=False)  # type: ignore[method-assign]


class CompiledInTraining:
    """A layer's pass, compiled by torch where it trains; where it predicts, shapes change at each token."""

    def __init__(self, layer: Layer) -> None:
        self.layer, self.plain = layer, layer.forward
        self.compiled = torch.compile(layer.forward)

    def __call__(self, *inputs: Any) -> Any:
        return (self.compiled if self.layer.training else self.plain)(*inputs)


def compile_layers(model: nn.Module) -> None:
    """Layers become code of the device's own when they are first trained; equal layers share it.

    Raises RecipeError where torch finds nothing to compile with.
    """
    device = next(model.parameters()).device
    try:
        torch.compile(lambda x: x.sin())(torch.ones(1, device=device))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise RecipeError(
            f"runtime.compile = true: {reason}; install a compiler, or leave this out"
        ) from None
    for module in model.modules():
        if isinstance(module, Layer):
            module.forward = CompiledInTraining(module)  # type: ignore[method-assign, assignment]


def _speedup_of_matmul(precision: Precision) -> float:
    """Of the forward and the backward pass of a batch of sentences with padding."""
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    rows, heads, length, size = 128, 4, 32, 64
    q, k, v = torch.randn(3, rows, heads, length, size).to(kind).requires_grad_().unbind()
    lengths = torch.arange(rows) % length + 1
    mask = AttentionMask(key_segments=(torch.arange(length) < lengths[:, None]).long())

    def turn(backend: Backend) -> None:
        attend = backend(mask, None, length, length, q.device)
        torch.autograd.grad(attend(q, k, v).sum(), [q, k, v])

    return best_seconds(lambda: turn(KERNELS["sdpa"])) / best_seconds(lambda: turn(KERNELS["matmul"]))
