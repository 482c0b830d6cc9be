"""Averages of weights: exponential while training, or of the last checkpoints (Paper §6.1)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """average ← decay · average + (1 - decay) · parameters."""
    for name, parameter in model.named_parameters():
        average[name].lerp_(parameter, 1 - decay)


def start_average(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the parameters by name, from which an average starts."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@torch.no_grad()
def set_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give each parameter the tensor of its name."""
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])


@contextmanager
def weights_of(model: nn.Module, average: Mapping[str, Tensor] | None) -> Iterator[None]:
    """Inside the block the model has the averaged weights, if there are any; afterwards its own again."""
    if average is None:
        yield
        return
    own = start_average(model)
    set_weights(model, average)
    try:
        yield
    finally:
        set_weights(model, own)


def mean_of(several: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several sets of weights, summed in float64."""
    return {
        name: torch.stack([weights[name].double() for weights in several]).mean(0).to(several[0][name].dtype)
        for name in several[0]
    }
