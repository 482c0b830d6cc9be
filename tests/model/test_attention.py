"""Concat(head_1, …, head_H) W^O, head by head as the paper writes it (Paper §3.2.2)."""

import math

import torch
from torch import Tensor, nn

from headway.model.attention import Attention
from headway.model.backends import sdpa
from headway.model.config import TransformerConfig
from headway.model.mask import AttentionMask
from headway.model.positions import Positions, RotaryPositions

from .shapes import assert_near


def test_heads_are_those_of_the_paper(config: TransformerConfig) -> None:
    attention = Attention(config)
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    x, context = torch.randn(2, 3, config.d_model), torch.randn(2, 5, config.d_model)
    attend = sdpa(AttentionMask(), None, 3, 5, x.device)
    d_key, d_value, group = config.d_key, config.d_value, 4 // config.num_kv_heads
    q, k, v = attention.query(x), attention.key(context), attention.value(context)

    def normal(of_one_head: Tensor, norm: nn.Module) -> Tensor:
        if not config.attention.normalize:
            return of_one_head
        scale = of_one_head.square().mean(-1, keepdim=True) + config.norm.epsilon
        return of_one_head / scale.sqrt() * norm.weight

    heads = []
    for head in range(4):
        shared = head // group
        one_q = normal(q[..., head * d_key : (head + 1) * d_key], attention.query_norm)
        one_k = normal(k[..., shared * d_key : (shared + 1) * d_key], attention.key_norm)
        one_v = v[..., shared * d_value : (shared + 1) * d_value]
        heads.append((one_q @ one_k.mT / math.sqrt(d_key)).softmax(-1) @ one_v)
    expected = attention.output(torch.cat(heads, dim=-1))
    assert_near(attention(x, attention.keys_values(context), attend), expected)


def test_sizes_are_per_head(config: TransformerConfig) -> None:
    found = Attention(config).keys_values(torch.randn(2, 5, config.d_model))
    assert found.k.shape == (2, config.num_kv_heads, 5, config.d_key)
    assert found.v.shape == (2, config.num_kv_heads, 5, config.d_value)


def test_a_rotation_turns_queries_and_keys_but_not_values() -> None:
    config = TransformerConfig(vocab_size=5, d_model=32)
    attention, x = Attention(config), torch.randn(1, 4, 32)
    rotation = RotaryPositions(config.d_key, 100.0).rotation(Positions(torch.arange(4)[None], 4))
    plain, turned = attention.keys_values(x), attention.keys_values(x, rotation)
    assert_near(turned.k, rotation(plain.k))
    assert torch.equal(turned.v, plain.v)
    attend = sdpa(AttentionMask(), None, 4, 4, x.device)
    queried = attention(x, plain, attend, rotation)
    assert not torch.isclose(queried, attention(x, plain, attend)).all()
