"""Feed-forward networks are their formulas."""

import torch
import torch.nn.functional as F

from headway.model.config import TransformerConfig
from headway.model.feed_forward import FeedForward

from .shapes import assert_near


def test_it_is_equation_2_or_the_gated_one(config: TransformerConfig) -> None:
    network, x = FeedForward(config), torch.randn(2, 3, config.d_model)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    inner = F.linear(x, network.inner.weight, network.inner.bias)
    if config.activation == "swiglu":
        assert network.gate is not None
        gate = F.linear(x, network.gate.weight, network.gate.bias)
        hidden = gate * torch.sigmoid(gate) * inner
    elif config.activation == "gelu":
        hidden = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    else:
        hidden = inner.clamp(min=0)
    assert_near(network(x), F.linear(hidden, network.output.weight, network.output.bias))
