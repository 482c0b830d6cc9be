"""Norms compute in the precision of their weights, whatever they are given."""

import torch

from headway.model.config import AttentionConfig, NormConfig, TransformerConfig
from headway.model.norm import build_head_norm, build_norm

from .shapes import assert_near

CONFIG = TransformerConfig(
    vocab_size=5,
    d_model=16,
    attention=AttentionConfig(num_heads=2, normalize=True),
    norm=NormConfig(kind="rms", epsilon=0.25),
)


def test_norms_of_bfloat16_are_those_of_the_same_numbers_in_float32() -> None:
    x = torch.randn(3, 16).bfloat16()
    assert torch.equal(build_norm(CONFIG)(x), build_norm(CONFIG)(x.float()))


def test_heads_are_normalized_by_the_size_of_a_key_alone() -> None:
    x = torch.randn(2, 3, 2, 8)
    expected = x / (x.square().mean(-1, keepdim=True) + 0.25).sqrt()
    assert_near(build_head_norm(CONFIG)(x), expected)
