"""Places start anew in every document; waves and rotations are what the papers write."""

import math

import pytest
import torch

from headway.batch import Tokens
from headway.errors import UserError
from headway.model.config import PositionConfig
from headway.model.positions import (
    LearnedPositions,
    Positions,
    RotaryPositions,
    SinusoidalPositions,
    added_positions,
    positions_of,
)

from .shapes import assert_near


def places(*index: int) -> Positions:
    return Positions(torch.tensor([index]), max(index) + 1)


def test_every_document_starts_at_zero() -> None:
    segments = torch.tensor([[1, 1, 1, 2, 2, 3, 0, 0], [0, 0, 1, 1, 1, 0, 2, 2], [1] * 8])
    positions = positions_of(Tokens(torch.zeros_like(segments), segments))
    expected = [[0, 1, 2, 0, 1, 0, 0, 1], [0, 1, 0, 1, 2, 0, 0, 1], list(range(8))]
    assert positions.index.tolist() == expected
    assert positions.bound == 8


def test_without_segments_a_row_is_one_document() -> None:
    positions = positions_of(Tokens(torch.zeros(3, 4, dtype=torch.long)))
    assert positions.index.tolist() == [[0, 1, 2, 3]]
    assert positions.bound == 4


@pytest.mark.parametrize("base", [10000.0, 500.0])
def test_sinusoids_are_those_of_the_paper(base: float) -> None:
    d_model, length = 12, 300
    found = SinusoidalPositions(d_model, base)(Positions(torch.arange(length)[None], length))[0]
    for position in (0, 1, 7, 255, 256, 299):
        for i in range(d_model // 2):
            angle = position / base ** (2 * i / d_model)
            assert float(found[position, 2 * i]) == pytest.approx(math.sin(angle), abs=2e-5)
            assert float(found[position, 2 * i + 1]) == pytest.approx(math.cos(angle), abs=2e-5)


def test_a_wave_table_grows_without_changing() -> None:
    waves = SinusoidalPositions(8, 10000.0)
    before = waves.table.clone()
    waves(places(5, 1000))
    assert len(waves.table) == 1024
    assert torch.equal(waves.table[: len(before)], before)
    assert not waves.state_dict(), "it is computed, never kept"


def test_a_rotation_turns_pairs_by_the_position() -> None:
    """(x_i, x_{i+E/2}) as a complex number, times e^(i·position·rate) (Su et al. 2021, eq. 34)."""
    size, base = 6, 100.0
    x, at = torch.randn(1, 2, 3, size), places(0, 4, 300)
    turned = RotaryPositions(size, base).rotation(at)(x)
    rates = torch.tensor([base ** (-2 * i / size) for i in range(size // 2)])
    turn = torch.polar(torch.ones(3, size // 2), at.index[0][:, None] * rates)
    expected = torch.complex(x[..., : size // 2], x[..., size // 2 :]) * turn
    assert_near(turned, torch.cat((expected.real, expected.imag), dim=-1))


def test_rotated_products_depend_on_distance_alone() -> None:
    rotary, q, k = RotaryPositions(8, 10000.0), torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)

    def product(t: int, s: int) -> float:
        return float((rotary.rotation(places(t))(q) * rotary.rotation(places(s))(k)).sum())

    assert product(7, 4) == pytest.approx(product(103, 100), abs=1e-4)
    assert product(7, 4) != pytest.approx(product(4, 7), abs=1e-2)


def test_learned_positions_say_where_they_end() -> None:
    learned = LearnedPositions(8, max_length=5)
    assert torch.equal(learned(places(4, 0))[0, 0], learned.table.weight[4])
    with pytest.raises(UserError, match=r"6 tokens .* positions\.max_length above 5"):
        learned(places(5))


def test_each_kind_is_added_or_not() -> None:
    kinds = {kind: type(added_positions(PositionConfig(kind=kind), 8)) for kind in ("sinusoidal", "learned")}
    assert kinds == {"sinusoidal": SinusoidalPositions, "learned": LearnedPositions}
    for kind in ("rotary", "alibi", "relative", "none"):
        assert added_positions(PositionConfig(kind=kind), 8) is None  # type: ignore[arg-type]
