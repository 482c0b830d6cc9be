"""Position-wise feed-forward networks (Paper §3.3, eq. 2)."""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from headway.model.config import TransformerConfig


def gelu_tanh(x: Float[Tensor, "*n D"]) -> Float[Tensor, "*n D"]:
    """GELU approximated by a hyperbolic tangent (Hendrycks and Gimpel 2016, §2)."""
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": gelu_tanh,
    "silu": F.silu,
    "swiglu": F.silu,
    "geglu": F.gelu,
    "geglu_tanh": gelu_tanh,
}


class FeedForward(nn.Module):
    """output(act(inner(x))) (Paper eq. 2); gated: output(act(gate(x)) · inner(x)) (Shazeer 2020)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[config.activation]
        self.inner = nn.Linear(config.d_model, config.d_ff, bias=config.bias)
        self.gate = nn.Linear(config.d_model, config.d_ff, bias=config.bias) if config.is_gated else None
        self.output = nn.Linear(config.d_ff, config.d_model, bias=config.bias)

    def forward(self, x: Float[Tensor, "*n D"]) -> Float[Tensor, "*n D"]:
        inner = (
            self.activation(self.inner(x))
            if self.gate is None
            else self.activation(self.gate(x)) * self.inner(x)
        )
        return self.output(inner)
