"""One layer of an encoder or decoder (Paper §3.1, Figure 1). Axes: B rows, T positions, D d_model."""

from collections.abc import Callable
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from headway.model.attention import Attention, KeyValues
from headway.model.backends import Attend
from headway.model.config import TransformerConfig
from headway.model.dropout import Dropout
from headway.model.feed_forward import FeedForward
from headway.model.norm import build_norm
from headway.model.positions import Rotation

Remember = Callable[[KeyValues], KeyValues]
"""Takes the newest keys and values, returns all so far: how a cache enters a layer."""


class Residual(nn.Module):
    """norm(x + sublayer(x)), or x + sublayer(norm(x)) where the norm comes first (Paper §3.1, §5.4)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm = build_norm(config)
        self.dropout = Dropout(config.dropout)
        self.norm_first = config.norm.position == "pre"

    def forward(
        self, x: Float[Tensor, "B T D"], sublayer: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "B T D"]:
        if self.norm_first:
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))


class Layer(nn.Module):
    """Self-attention, attention to the encoder's memory if there is one, feed-forward (Paper §3.1)."""

    def __init__(self, config: TransformerConfig, *, sees_memory: bool) -> None:
        super().__init__()
        self.self_attention, self.self_residual = Attention(config), Residual(config)
        if sees_memory:
            self.memory_attention, self.memory_residual = Attention(config), Residual(config)
        self.feed_forward, self.feed_forward_residual = FeedForward(config), Residual(config)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        attend: Attend,
        rotation: Rotation | None = None,
        remember: Remember | None = None,
        memory: KeyValues | None = None,
        attend_memory: Attend | None = None,
    ) -> Float[Tensor, "B T D"]:
        look_at_self = partial(self._look_at_self, attend=attend, rotation=rotation, remember=remember)
        x = self.self_residual(x, look_at_self)
        if memory is not None:
            look_at_memory = partial(self.memory_attention, context=memory, attend=attend_memory)
            x = self.memory_residual(x, look_at_memory)
        return self.feed_forward_residual(x, self.feed_forward)

    def _look_at_self(
        self, x: Float[Tensor, "B T D"], attend: Attend, rotation: Rotation | None, remember: Remember | None
    ) -> Float[Tensor, "B T D"]:
        newest = self.self_attention.keys_values(x, rotation)
        return self.self_attention(x, remember(newest) if remember else newest, attend, rotation)
