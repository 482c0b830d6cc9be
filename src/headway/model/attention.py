"""Multi-head attention (Paper §3.2.2).

Axes: B rows, T queries, S keys, D d_model, H heads, K key/value heads, E and U sizes of key and value.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from headway.model.backends import Attend
from headway.model.config import TransformerConfig
from headway.model.norm import build_head_norm
from headway.model.positions import Rotation


@dataclass
class KeyValues:
    """Keys and values of one attention; keys are already turned where positions are rotary."""

    k: Float[Tensor, "B K S E"]
    v: Float[Tensor, "B K S U"]


class Attention(nn.Module):
    """Concat(head_1, …, head_H) W^O (Paper §3.2.2). Knows nothing of masks: `attend` has them bound."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads = config.attention.num_heads, config.num_kv_heads
        d_model, d_key, d_value, bias = config.d_model, config.d_key, config.d_value, config.bias
        self.query = nn.Linear(d_model, self.num_heads * d_key, bias=bias)
        self.key = nn.Linear(d_model, self.num_kv_heads * d_key, bias=bias)
        self.value = nn.Linear(d_model, self.num_kv_heads * d_value, bias=bias)
        self.output = nn.Linear(self.num_heads * d_value, d_model, bias=bias)
        self.query_norm, self.key_norm = build_head_norm(config), build_head_norm(config)

    def keys_values(self, context: Float[Tensor, "B S D"], rotation: Rotation | None = None) -> KeyValues:
        """What `context` offers to queries; computed once and reusable."""
        k = self.key_norm(self.key(context).unflatten(-1, (self.num_kv_heads, -1))).transpose(1, 2)
        v = self.value(context).unflatten(-1, (self.num_kv_heads, -1)).transpose(1, 2)
        return KeyValues(k if rotation is None else rotation(k), v)

    def forward(
        self, x: Float[Tensor, "B T D"], context: KeyValues, attend: Attend, rotation: Rotation | None = None
    ) -> Float[Tensor, "B T D"]:
        q = self.query_norm(self.query(x).unflatten(-1, (self.num_heads, -1))).transpose(1, 2)
        heads = attend(q if rotation is None else rotation(q), context.k, context.v)
        return self.output(heads.transpose(1, 2).flatten(-2))
