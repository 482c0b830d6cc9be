"""Feed-forward networks are their formulas."""

import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from headway.model.config import Activation, TransformerConfig
from headway.model.feed_forward import FeedForward

from .shapes import assert_near


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def gelu_tanh(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: x.clamp(min=0),
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": silu,
}
GATED = {"swiglu": silu, "geglu": gelu, "geglu_tanh": gelu_tanh}


def test_every_activation_has_its_formula() -> None:
    assert {*FORMULAS, *GATED} == set(get_args(Activation))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", get_args(Activation))
def test_it_is_equation_2_or_the_gated_one(activation: Activation, bias: bool) -> None:
    """Paper eq. 2; Shazeer 2020, eq. 6."""
    network = FeedForward(
        TransformerConfig(vocab_size=5, d_model=16, d_ff=24, activation=activation, bias=bias)
    )
    x = torch.randn(2, 3, 16)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    hidden = F.linear(x, network.inner.weight, network.inner.bias)
    if activation in GATED:
        assert network.gate is not None
        hidden = GATED[activation](F.linear(x, network.gate.weight, network.gate.bias)) * hidden
    else:
        assert network.gate is None
        hidden = FORMULAS[activation](hidden)
    assert_near(network(x), F.linear(hidden, network.output.weight, network.output.bias))
