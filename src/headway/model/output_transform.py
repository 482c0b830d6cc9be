"""What stands between the trunk and the output projection. Axes: D d_model."""

from jaxtyping import Float
from torch import Tensor, nn

from headway.model.config import TransformerConfig
from headway.model.feed_forward import ACTIVATIONS
from headway.model.norm import build_norm


class OutputTransform(nn.Module):
    """norm(act(dense(x))): the prediction head of BERT (Devlin et al. 2019, in the authors' code)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.d_model, config.d_model, bias=config.bias)
        self.activation = ACTIVATIONS[config.activation]
        self.norm = build_norm(config)

    def forward(self, x: Float[Tensor, "*n D"]) -> Float[Tensor, "*n D"]:
        return self.norm(self.activation(self.dense(x)))
