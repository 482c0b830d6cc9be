"""Settings that cannot be followed are refused, with the key."""

from typing import Any

import pytest

from headway.config import from_table
from headway.errors import RecipeError
from headway.training.settings import StopConfig, TrainingConfig


@pytest.mark.parametrize("stop", [{}, {"steps": 0}, {"steps": -1}, {"epochs": -0.5, "steps": 3}])
def test_a_run_must_end(stop: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="stop: give steps, epochs, tokens, minutes or patience"):
        from_table(StopConfig, stop)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"validate_every": 0}, r"training\.validate_every = 0: must be at least 1"),
        ({"save_every": -3}, r"training\.save_every = -3"),
        ({"report_every": 0}, r"training\.report_every = 0"),
        ({"keep_last": 0}, r"training\.keep_last = 0"),
        ({"label_smoothing": 1.0}, r"training\.label_smoothing = 1\.0: must be at least 0 and below 1"),
        ({"ema": -0.1}, r"training\.ema = -0\.1"),
        ({"final": "average", "average": 5, "keep_last": 4}, r"needs training\.keep_last of at least"),
        ({"final": "mean"}, "final"),
    ],
)
def test_what_cannot_be_is_refused(training: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        from_table(TrainingConfig, training)


def test_only_patience_leaves_the_end_open() -> None:
    assert not StopConfig(patience=3).is_fixed
    assert all(
        StopConfig(patience=3, **{name: 1}).is_fixed for name in ("steps", "epochs", "tokens", "minutes")
    )
