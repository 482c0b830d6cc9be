"""Every law of the models is tried on each of the covering shapes."""

import pytest

from headway.model.config import TransformerConfig

from .shapes import SHAPES, Shape, config_of


def name_of(shape: Shape) -> str:
    return "-".join(
        (
            *(shape.positions, shape.sees, shape.norm_position, shape.norm),
            *(shape.activation, f"{shape.kv_heads}kv"),
        )
    )


@pytest.fixture(params=SHAPES, ids=name_of)
def config(request: pytest.FixtureRequest) -> TransformerConfig:
    """A tiny encoder-decoder; the other two architectures come from it."""
    return config_of(request.param)
