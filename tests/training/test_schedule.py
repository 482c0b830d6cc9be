"""Rates are their formulas, and end where they should."""

import math

import pytest

from headway.errors import RecipeError
from headway.training.schedule import check_schedule, peak_rate, rate_factor
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig


@pytest.mark.parametrize("d_model", [512, 1024])
@pytest.mark.parametrize("warmup", [1, 4000])
def test_inverse_square_root_is_equation_3(d_model: int, warmup: int) -> None:
    schedule = ScheduleConfig(kind="inverse-sqrt", warmup=warmup)
    peak = peak_rate(OptimizerConfig(rate=None), schedule, d_model)
    for step in (1, 2, 399, 3999, 4000, 4001, 100_000):
        paper = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert peak * rate_factor(schedule, step, 0.5) == pytest.approx(paper, rel=1e-9)


def test_a_rate_of_the_recipe_is_the_peak() -> None:
    for kind in ("inverse-sqrt", "constant"):
        schedule = ScheduleConfig(kind=kind, warmup=100)
        assert peak_rate(OptimizerConfig(rate=3e-4), schedule, 512) == 3e-4
        assert max(rate_factor(schedule, step, 0.0) for step in range(1, 300)) == 1.0
        assert rate_factor(schedule, 100, 0.0) == 1.0


@pytest.mark.parametrize("kind", ["inverse-sqrt", "cosine", "linear", "constant"])
@pytest.mark.parametrize("warmup", [0, 1, 40])
def test_warm_up_is_linear(kind: str, warmup: int) -> None:
    schedule = ScheduleConfig(kind=kind, warmup=warmup)  # type: ignore[arg-type]
    for step in range(1, warmup + 1):
        assert rate_factor(schedule, step, 0.0) == pytest.approx(step / warmup)


@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
def test_cosine_and_linear_end_at_their_share(final: float) -> None:
    cosine = ScheduleConfig(kind="cosine", warmup=1, final=final)
    linear = ScheduleConfig(kind="linear", warmup=1, final=final)
    for progress in (0.0, 0.25, 0.5, 0.9, 1.0):
        wave = final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2
        assert rate_factor(cosine, 50, progress) == pytest.approx(wave)
        assert rate_factor(linear, 50, progress) == pytest.approx(1 - (1 - final) * progress)
    for schedule in (cosine, linear):
        assert rate_factor(schedule, 50, 0.0) == pytest.approx(1.0)
        assert rate_factor(schedule, 50, 1.0) == pytest.approx(final)


def test_constant_stays() -> None:
    assert {
        rate_factor(ScheduleConfig(kind="constant", warmup=3), step, step / 9) for step in range(3, 10)
    } == {1}


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_what_comes_down_must_know_the_end(kind: str) -> None:
    schedule = ScheduleConfig(kind=kind)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=rf"schedule\.kind = '{kind}' comes down to the stop"):
        check_schedule(schedule, StopConfig(patience=3))
    for stop in (StopConfig(steps=1), StopConfig(epochs=0.5), StopConfig(tokens=1), StopConfig(minutes=1)):
        check_schedule(schedule, stop)
    check_schedule(ScheduleConfig(kind="inverse-sqrt"), StopConfig(patience=3))
