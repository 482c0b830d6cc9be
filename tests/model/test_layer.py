"""Where norms stand, and in what order sub-layers come (Paper §3.1, Figure 1)."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from headway.model.attention import KeyValues
from headway.model.config import NormConfig, TransformerConfig
from headway.model.layer import Layer, Residual
from headway.model.norm import build_norm

from .shapes import assert_near


def config_with(norm: NormConfig, bias: bool = True) -> TransformerConfig:
    return TransformerConfig(vocab_size=5, d_model=16, d_ff=8, bias=bias, dropout=0.0, norm=norm)


def test_the_norm_follows_the_sum_or_precedes_the_sublayer() -> None:
    x = torch.randn(2, 3, 16)

    def normal(x: Tensor) -> Tensor:
        return F.layer_norm(x, (16,))

    post = Residual(config_with(NormConfig(position="post")))
    assert_near(post(x, torch.sin), normal(x + x.sin()))
    pre = Residual(config_with(NormConfig(position="pre")))
    assert_near(pre(x, torch.sin), x + normal(x).sin())


@pytest.mark.parametrize("epsilon", [1e-5, 0.5])
def test_norms_are_their_formulas(epsilon: float) -> None:
    x = torch.randn(3, 16) + 2
    layer = build_norm(config_with(NormConfig(kind="layer", epsilon=epsilon)))
    centred = x - x.mean(-1, keepdim=True)
    assert_near(layer(x), centred / (centred.square().mean(-1, keepdim=True) + epsilon).sqrt())
    rms = build_norm(config_with(NormConfig(kind="rms", epsilon=epsilon)))
    assert_near(rms(x), x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt())


@pytest.mark.parametrize("bias", [True, False])
def test_a_model_without_biases_has_none(bias: bool) -> None:
    for sees_memory in (True, False):
        names = dict(Layer(config_with(NormConfig(), bias), sees_memory=sees_memory).named_parameters())
        assert any(name.endswith("bias") for name in names) is bias


def test_dropout_falls_on_the_sublayer_and_never_on_the_residual() -> None:
    config = TransformerConfig(vocab_size=5, d_model=16, dropout=0.5, norm=NormConfig(position="pre"))
    residual, x = Residual(config).train(), torch.randn(50, 4, 16)
    added = residual(x, torch.ones_like) - x
    kept = added > 1
    assert_near(added[kept], torch.full_like(added[kept], 2.0))
    assert_near(added[~kept], torch.zeros_like(added[~kept]))
    assert 0.4 < float(kept.float().mean()) < 0.6


def test_a_layer_looks_at_itself_then_at_memory_then_thinks() -> None:
    config = config_with(NormConfig())
    layer, x, memory = Layer(config, sees_memory=True).eval(), torch.randn(1, 3, 16), torch.randn(1, 5, 16)
    order: list[str] = []
    for name in ("self_attention", "memory_attention", "feed_forward"):
        layer.get_submodule(name).register_forward_hook(lambda *_, name=name: order.append(name))

    def attend(q: Tensor, k: Tensor, v: Tensor, /) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)

    known = layer.memory_attention.keys_values(memory)
    both = layer(x, attend, None, None, known, attend)
    assert order == ["self_attention", "memory_attention", "feed_forward"]
    own = layer.self_attention.keys_values(x)
    a = layer.self_residual.norm(x + layer.self_attention(x, own, attend))
    b = layer.memory_residual.norm(a + layer.memory_attention(a, known, attend))
    assert_near(both, layer.feed_forward_residual.norm(b + layer.feed_forward(b)))


def test_what_is_remembered_is_what_is_attended() -> None:
    layer, x = Layer(config_with(NormConfig()), sees_memory=False).eval(), torch.randn(1, 3, 16)
    other = layer.self_attention.keys_values(torch.randn(1, 6, 16))
    seen: list[KeyValues] = []

    def remember(newest: KeyValues) -> KeyValues:
        seen.append(newest)
        return other

    def attend(q: Tensor, k: Tensor, v: Tensor, /) -> Tensor:
        assert k is other.k
        assert v is other.v
        return F.scaled_dot_product_attention(q, k, v)

    layer(x, attend, None, remember)
    assert len(seen) == 1
    assert torch.equal(seen[0].k, layer.self_attention.keys_values(x).k)
