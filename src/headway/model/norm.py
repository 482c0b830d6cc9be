"""The normalizations that a config asks for."""

from jaxtyping import Float
from torch import Tensor, nn

from headway.model.config import TransformerConfig


class RMSNorm(nn.RMSNorm):
    """Torch's, in the precision of its weights whatever that of its input, as layer norm is in autocast."""

    def forward(self, x: Float[Tensor, "*n D"]) -> Float[Tensor, "*n D"]:
        return super().forward(x.to(self.weight.dtype))


def build_norm(config: TransformerConfig) -> nn.Module:
    """Of vectors of the model's width."""
    if config.norm.kind == "rms":
        return RMSNorm(config.d_model, eps=config.norm.epsilon)
    return nn.LayerNorm(config.d_model, eps=config.norm.epsilon, bias=config.bias)


def build_head_norm(config: TransformerConfig) -> nn.Module:
    """Of the queries or keys of each head (Henry et al. 2020)."""
    if config.attention.normalize:
        return RMSNorm(config.d_key, eps=config.norm.epsilon)
    return nn.Identity()
