"""Positions are shown as the model uses them."""

import math

import pytest
import torch

from headway.inspection.positions import MOST_COLUMNS, PositionView, position_view
from headway.model.architectures import build
from headway.model.config import AttentionConfig, PositionConfig, TransformerConfig


def view_of(kind: str, layers: tuple[int, int] = (1, 1), d_model: int = 16, length: int = 12) -> PositionView:
    config = TransformerConfig(
        vocab_size=11,
        encoder_layers=layers[0],
        decoder_layers=layers[1],
        d_model=d_model,
        d_ff=8,
        positions=PositionConfig(kind=kind, max_length=9),  # type: ignore[arg-type]
        attention=AttentionConfig(num_heads=4),
    )
    return position_view(build(config), length)


def test_sinusoids_are_the_papers() -> None:
    view = view_of("sinusoidal")
    place = torch.arange(12.0)
    assert torch.allclose(view.waves[:, 0], place.sin(), atol=1e-6)
    assert torch.allclose(view.waves[:, 3], (place / 10000 ** (2 / 16)).cos(), atol=1e-6)
    assert torch.allclose(view.products.diagonal(), torch.full((12,), 8.0))
    assert torch.allclose(view.products[3, 5], view.products[8, 10], atol=1e-5), "distance decides"


def test_wide_encodings_are_thinned() -> None:
    view = view_of("sinusoidal", d_model=2 * MOST_COLUMNS)
    assert view.waves.shape == (12, MOST_COLUMNS)
    assert torch.allclose(view.products.diagonal(), torch.full((12,), float(MOST_COLUMNS)), atol=1e-3)


def test_learned_ones_end_with_their_table() -> None:
    view = view_of("learned")
    assert view.waves.shape == (9, 16)
    assert torch.allclose(view.products, view.waves @ view.waves.T)


def test_rotary_ones_are_what_turning_leaves() -> None:
    view = view_of("rotary")
    rates = [10000 ** (-2 * i / 4) for i in range(2)]
    assert view.products[7, 4].item() == pytest.approx(sum(math.cos(3 * rate) for rate in rates), abs=1e-5)


@pytest.mark.parametrize("layers", [(1, 1), (1, 0), (0, 1)])
def test_biases_are_shown_by_distance(layers: tuple[int, int]) -> None:
    alibi = view_of("alibi", layers)
    slopes = torch.tensor([2.0 ** (-2 * i) for i in range(1, 5)])
    assert torch.allclose(alibi.waves, -torch.arange(12.0)[:, None] * slopes)
    assert alibi.products[9, 4].item() == pytest.approx(-5 * slopes.mean().item())
    relative = view_of("relative", layers)
    assert relative.waves.shape == (12, 4)
    assert relative.products[9, 4].item() == pytest.approx(relative.waves[5].mean().item(), abs=1e-6)


def test_without_positions_there_is_nothing() -> None:
    view = view_of("none")
    assert view.waves.shape == (12, 0)
    assert view.products.eq(0).all()
