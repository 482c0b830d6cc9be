"""Muon against the singular value decomposition, AdamW, and torch's own."""

import pytest
import torch
from torch import Tensor

from headway.training.muon import COEFFICIENTS, Muon, orthogonalize
from headway.training.optimizer import build_optimizer
from headway.training.settings import OptimizerConfig

from .toys import tiny_model


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 4, 20), (1, 20, 4)])
def test_it_applies_polynomials_to_the_singular_values(shape: tuple[int, ...]) -> None:
    matrices = draw(*shape)
    u, values, v = torch.linalg.svd(matrices, full_matrices=False)
    values = values / values.norm(dim=1, keepdim=True)
    for a, b, c in COEFFICIENTS:
        values = a * values + b * values**3 + c * values**5
    torch.testing.assert_close(orthogonalize(matrices), u @ values.diag_embed() @ v, rtol=0, atol=1e-5)


def test_all_singular_values_come_near_one() -> None:
    values = torch.linspace(0.01, 1, 1000, dtype=torch.float64)
    for a, b, c in COEFFICIENTS:
        values = a * values + b * values**3 + c * values**5
    assert values.min() > 0.72
    assert values.max() < 1.28


def parameters() -> list[Tensor]:
    return [
        torch.nn.Parameter(draw(*shape, seed=n)) for n, shape in enumerate([(6, 6), (6, 6), (4, 9), (5,)])
    ]


def test_it_is_torchs_muon_on_matrices_and_torchs_adamw_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch has five equal polynomials, and computes their products in bfloat16."""
    monkeypatch.setattr("headway.training.muon.COEFFICIENTS", 5 * [(3.4445, -4.7750, 2.0315)])
    ours, theirs = parameters(), parameters()
    settings = {"lr": 0.01, "weight_decay": 0.1}
    muon = Muon(
        [{"params": ours[:3], "orthogonal": True}, {"params": ours[3:]}], betas=(0.9, 0.98), **settings
    )
    first = torch.optim.Muon(theirs[:3], adjust_lr_fn="match_rms_adamw", **settings)
    second = torch.optim.AdamW(theirs[3:], betas=(0.9, 0.98), **settings)
    for step in range(4):
        for n, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            our.grad = their.grad = draw(*our.shape, seed=100 * step + n)
        for optimizer in (muon, first, second):
            optimizer.step()
    torch.testing.assert_close(ours[3], theirs[3], rtol=0, atol=0)
    for our, their, start in zip(ours[:3], theirs[:3], parameters(), strict=False):
        assert (our - their).norm() < 0.03 * (our - start).norm()


def test_the_matrices_of_layers_are_orthogonalized() -> None:
    model = tiny_model(tie=False)
    optimizer = build_optimizer(model, OptimizerConfig(kind="muon", weight_decay=0.1), 0.01)
    orthogonal = {name: group["orthogonal"] for group in optimizer.param_groups for name in group["names"]}
    assert sorted(orthogonal) == sorted(name for name, _ in model.named_parameters())
    for name, parameter in model.named_parameters():
        assert orthogonal[name] == (".layers." in name and parameter.ndim == 2), name
