"""Settings that cannot be followed are refused, with the key."""

import math
from typing import Any

import pytest

from headway.config import from_table
from headway.errors import RecipeError
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig, TrainingConfig


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
        ({"samples": -1}, r"training\.samples = -1: must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused(training: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        from_table(TrainingConfig, training)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ({"clip": -1.0}, r"optimizer\.clip = -1\.0: must be at least 0"),
        ({"rate": -1.0}, r"optimizer\.rate = -1\.0: must be above 0"),
        ({"rate": math.nan}, r"rate = nan: must be a finite number"),
        ({"rate": math.inf}, r"rate = inf: must be a finite number"),
        ({"beta1": 1.5}, r"optimizer\.beta1 = 1\.5: must be at least 0 and below 1"),
        ({"beta2": -0.1}, r"optimizer\.beta2"),
        ({"epsilon": 0.0}, r"optimizer\.epsilon = 0\.0: must be above 0"),
        ({"kind": "adamw", "weight_decay": -0.1}, r"optimizer\.weight_decay = -0\.1"),
        ({"weight_decay": 0.1}, r"optimizer\.weight_decay = 0\.1: must be 0 for kind = 'adam'"),
    ],
)
def test_an_optimizer_that_cannot_learn_is_refused(optimizer: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        from_table(OptimizerConfig, optimizer)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"warmup": -1}, r"schedule\.warmup = -1: must be at least 0"),
        ({"kind": "linear", "final": 1.5}, r"schedule\.final = 1\.5: must be from 0 to 1"),
        ({"kind": "constant", "final": 0.5}, r"schedule\.final = 0\.5: must be 0 unless kind"),
        ({"kind": "inverse-sqrt", "final": 0.5}, r"schedule\.final = 0\.5: must be 0 unless kind"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(schedule: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        from_table(ScheduleConfig, schedule)


def test_only_patience_leaves_the_end_open() -> None:
    assert not StopConfig(patience=3).is_fixed
    assert all(
        StopConfig(patience=3, **{name: 1}).is_fixed for name in ("steps", "epochs", "tokens", "minutes")
    )
