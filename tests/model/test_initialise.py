"""Starting weights have the sizes that they say."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from headway.model.architectures import build
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig

CONFIG = TransformerConfig(vocab_size=500, encoder_layers=1, decoder_layers=1, d_model=128, d_ff=256)


@pytest.mark.parametrize(("scaled", "expected"), [(True, 128**-0.5), (False, 0.02)])
@pytest.mark.parametrize("tied", [True, False])
def test_embeddings_are_normal(scaled: bool, expected: float, tied: bool) -> None:
    """Also where the output projection, a linear layer, is the same matrix."""
    model = build(replace(CONFIG, scale_embeddings=scaled, tie_output=tied))
    assert float(model.embedding.tokens.weight.detach().std()) == pytest.approx(expected, rel=0.03)


def test_matrices_are_glorot_uniform_and_biases_zero() -> None:
    model = build(replace(CONFIG, tie_output=False))
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert len(linear) == 4 + 2 + 8 + 2 + 1
    for module in linear:
        bound = math.sqrt(6 / (module.in_features + module.out_features))
        assert float(module.weight.detach().abs().max()) <= bound
        assert float(module.weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.03)
        assert module.bias is None or not module.bias.any()


@pytest.mark.parametrize(("scaled", "expected"), [(True, 128**-0.5), (False, 0.02)])
def test_relative_tables_are_small_and_norms_begin_with_ones(scaled: bool, expected: float) -> None:
    model = build(
        replace(
            CONFIG,
            output_bias=True,
            scale_embeddings=scaled,
            attention=AttentionConfig(normalize=True),
            norm=NormConfig(embedding=True),
            positions=PositionConfig(kind="relative", buckets=200, max_distance=400),
        )
    )
    parameters = dict(model.named_parameters())
    table = parameters["decoder.relative.table.weight"].detach()
    assert float(table.std()) == pytest.approx(expected, rel=0.1)
    norms = [name for name in parameters if "norm.weight" in name]
    assert {"embedding.norm.weight", "encoder.layers.0.self_attention.query_norm.weight"} <= set(norms)
    assert all(parameters[name].eq(1).all() for name in norms)
    assert parameters["output.bias"].eq(0).all()


def test_the_seed_decides() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([parameter.flatten() for parameter in build(CONFIG).parameters()])

    first = weights(1)
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))
