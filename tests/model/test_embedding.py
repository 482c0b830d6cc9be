"""Tokens, scaled, plus positions (Paper §3.4, §3.5)."""

import math

import torch
from torch import nn

from headway.model.config import TransformerConfig
from headway.model.embedding import Embedding
from headway.model.norm import build_norm
from headway.model.positions import Positions, added_positions

from .shapes import assert_near


def test_it_is_scaled_tokens_plus_positions(config: TransformerConfig) -> None:
    embedding = Embedding(config, 7).eval()
    ids, positions = torch.tensor([[3, 6, 0], [1, 1, 2]]), Positions(torch.tensor([[2, 0, 1]]), 3)
    factor = math.sqrt(config.d_model) if config.scale_embeddings else 1.0
    expected = factor * embedding.tokens.weight[ids]
    if config.positions.kind in ("sinusoidal", "learned"):
        assert embedding.positions is not None
        expected = expected + embedding.positions(positions)
    if config.norm.embedding:
        assert not isinstance(embedding.norm, nn.Identity)
        expected = build_norm(config)(expected)
    assert_near(embedding(ids, positions), expected)
    assert (embedding.positions is None) is (added_positions(config.positions, 8) is None)


def test_dropout_falls_on_the_sum() -> None:
    config = TransformerConfig(vocab_size=7, d_model=64, dropout=0.5)
    embedding, ids = Embedding(config, 7), torch.randint(0, 7, (4, 50))
    positions = Positions(torch.arange(50)[None], 50)
    full = embedding.eval()(ids, positions)
    some = embedding.train()(ids, positions)
    kept = some != 0
    assert_near(some[kept], 2 * full[kept])
    assert 0.4 < float(kept.float().mean()) < 0.6
