"""Token embeddings (Paper §3.4). Axes: B rows, T positions, D d_model."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from headway.model.config import TransformerConfig
from headway.model.dropout import Dropout
from headway.model.norm import build_norm
from headway.model.positions import Positions, added_positions


class Embedding(nn.Module):
    """dropout(norm(√d_model · token vector + position)) (Paper §3.4, §3.5, §5.4, which have no norm here)."""

    def __init__(self, config: TransformerConfig, vocab_size: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, config.d_model)
        self.positions = added_positions(config.positions, config.d_model)
        self.norm = build_norm(config) if config.norm.embedding else nn.Identity()
        self.dropout = Dropout(config.dropout)
        self.scale = math.sqrt(config.d_model) if config.scale_embeddings else 1.0

    def forward(self, ids: Int[Tensor, "B T"], positions: Positions) -> Float[Tensor, "B T D"]:
        x: Tensor = self.tokens(ids) * self.scale
        if self.positions is not None:
            x = x + self.positions(positions)
        dropped: torch.Tensor = self.dropout(self.norm(x))
        return dropped
