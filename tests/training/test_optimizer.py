"""Which parameters decay, and that the settings are the ones asked for."""

import pytest
import torch

from headway.model.architectures import build
from headway.model.config import PositionConfig, TransformerConfig
from headway.training.optimizer import build_optimizer
from headway.training.settings import OptimizerConfig

from .toys import tiny_model


@pytest.mark.parametrize("tie", [True, False])
def test_matrices_alone_decay(tie: bool) -> None:
    config = TransformerConfig(
        vocab_size=11,
        encoder_layers=1,
        decoder_layers=1,
        d_model=16,
        d_ff=12,
        share_embeddings=False,
        tie_output=tie,
        positions=PositionConfig(kind="learned"),
    )
    model = build(config)
    groups = build_optimizer(model, OptimizerConfig(kind="adamw", weight_decay=0.3), 1e-3).param_groups
    spared, decayed = sorted(groups, key=lambda group: group["weight_decay"])
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0.0)
    embeddings = {
        f"{side}.{name}.weight"
        for side in ("embedding", "source_embedding")
        for name in ("tokens", "positions.table")
    }
    names = {name for name, _ in model.named_parameters()}
    matrices = {
        name
        for name in names - embeddings
        if name.endswith("weight") and ".norm" not in name and not name.startswith("norm")
    }
    assert set(decayed["names"]) == matrices
    assert ("output.weight" in decayed["names"]) is not tie
    assert set(spared["names"]) == names - matrices
    for group in (decayed, spared):
        for name, parameter in zip(group["names"], group["params"], strict=True):
            assert model.get_parameter(name) is parameter


def test_settings_arrive() -> None:
    config = OptimizerConfig(beta1=0.8, beta2=0.95, epsilon=1e-7)
    optimizer = build_optimizer(tiny_model(), config, 0.25)
    assert type(optimizer) is torch.optim.Adam
    for group in optimizer.param_groups:
        assert (group["betas"], group["eps"], group["lr"]) == ((0.8, 0.95), 1e-7, 0.25)
    assert type(build_optimizer(tiny_model(), OptimizerConfig(kind="adamw"), 0.25)) is torch.optim.AdamW


def test_defaults_are_those_of_the_paper() -> None:
    """Paper §5.3."""
    config = OptimizerConfig()
    assert (config.kind, config.beta1, config.beta2, config.epsilon) == ("adam", 0.9, 0.98, 1e-9)


def test_decay_is_decoupled() -> None:
    """A parameter without gradient shrinks by rate · decay, and by nothing else."""
    model = tiny_model()
    optimizer = build_optimizer(model, OptimizerConfig(kind="adamw", weight_decay=0.5), 0.1)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert sorted(group["weight_decay"] for group in optimizer.param_groups) == [0, 0.5]
    for group in optimizer.param_groups:
        factor = 1 - 0.1 * group["weight_decay"]
        for name in group["names"]:
            torch.testing.assert_close(model.get_parameter(name).detach(), factor * before[name])
