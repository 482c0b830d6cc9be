"""BERT's prediction head: a linear layer, the activation, a norm, then the vocabulary."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from headway.model.architectures import build
from headway.model.config import AttentionConfig, NormConfig, TransformerConfig
from headway.model.output_transform import OutputTransform

from .shapes import assert_near

CONFIG = TransformerConfig(
    vocab_size=11,
    encoder_layers=1,
    decoder_layers=0,
    d_model=16,
    d_ff=8,
    activation="geglu",
    bias=False,
    output_bias=True,
    output_transform=True,
    attention=AttentionConfig(num_heads=4),
)


@pytest.mark.parametrize("bias", [True, False])
def test_logits_are_the_formula(bias: bool) -> None:
    model = build(replace(CONFIG, bias=bias))
    transform = model.transform
    assert isinstance(transform, OutputTransform)
    assert (transform.dense.bias is not None) is bias
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    hidden = torch.randn(5, 16)
    dense = F.linear(hidden, transform.dense.weight, transform.dense.bias)
    bent = dense * 0.5 * (1 + torch.erf(dense / 2**0.5))
    norm = transform.norm
    expected = F.layer_norm(bent, (16,), norm.weight, norm.bias, norm.eps)
    assert_near(model.logits(hidden), expected @ model.embedding.tokens.weight.T + model.output.bias)


def test_its_norm_is_the_models() -> None:
    transform = OutputTransform(replace(CONFIG, norm=NormConfig(kind="rms", epsilon=0.5)))
    assert isinstance(transform.norm, torch.nn.RMSNorm)
    assert transform.norm.eps == 0.5
    assert set(transform.state_dict()) == {"dense.weight", "norm.weight"}
