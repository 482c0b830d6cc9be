"""How far a run is, and which limit it has reached."""

import pytest

from headway.training.settings import StopConfig
from headway.training.state import Counters
from headway.training.time_fit import TimeFit

BATCHES = 8


@pytest.mark.parametrize(
    ("stop", "before", "at", "reason"),
    [
        (StopConfig(steps=1000), Counters(step=999), Counters(step=1000), "1,000 steps done"),
        (StopConfig(epochs=2), Counters(epoch=1, batch=7), Counters(epoch=1, batch=8), "2 epochs done"),
        (StopConfig(epochs=0.25), Counters(batch=1), Counters(batch=2), "0.25 epochs done"),
        (StopConfig(tokens=5000), Counters(tokens=4999), Counters(tokens=5003), "5,000 tokens seen"),
        (
            StopConfig(minutes=1.5),
            Counters(step=49, fit=TimeFit(fixed_at=20, steps=50)),
            Counters(step=50, fit=TimeFit(fixed_at=20, steps=50)),
            "1.5 minutes of training done",
        ),
        (
            StopConfig(patience=3),
            Counters(without_better=2),
            Counters(without_better=3),
            "no better result in 3 validations",
        ),
    ],
    ids=["steps", "epochs", "part-of-epoch", "tokens", "minutes", "patience"],
)
def test_each_limit_is_reached_and_named(
    stop: StopConfig, before: Counters, at: Counters, reason: str
) -> None:
    assert before.reached(stop, BATCHES) == ""
    assert at.reached(stop, BATCHES) == reason
    if stop.is_fixed:
        assert 0 < before.progress(stop, BATCHES) < 1
        assert at.progress(stop, BATCHES) == 1


def test_the_first_of_several_limits_counts() -> None:
    stop = StopConfig(steps=100, tokens=1000)
    assert Counters(step=10, tokens=900).progress(stop, BATCHES) == 0.9
    assert Counters(step=60, tokens=300).progress(stop, BATCHES) == 0.6
    assert Counters(step=10, tokens=1000).reached(stop, BATCHES) == "1,000 tokens seen"


def test_patience_alone_tells_no_progress() -> None:
    assert Counters(step=10, without_better=1).progress(StopConfig(patience=2), BATCHES) == 0.0


def run_for(minutes: float, seconds_a_step: float) -> tuple[Counters, list[float]]:
    """A run of steps that all take as long, and its progress after each."""
    counters, stop, shares = Counters(), StopConfig(minutes=minutes), []
    while not counters.reached(stop, BATCHES):
        counters.step += 1
        counters.seconds += seconds_a_step
        counters.fit.look(counters.step, counters.seconds, minutes)
        shares.append(counters.progress(stop, BATCHES))
        assert len(shares) < 10_000
    return counters, shares


@pytest.mark.parametrize("seconds_a_step", [0.01, 0.2, 1.0, 4.0])
def test_minutes_are_filled_with_steps(seconds_a_step: float) -> None:
    counters, shares = run_for(1.0, seconds_a_step)
    assert counters.seconds == pytest.approx(60, abs=1.5 * seconds_a_step)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert shares[0] == 0.0


def test_slow_steps_overrun_the_minutes_by_one_at_most() -> None:
    counters, _ = run_for(1.0, 50.0)
    assert counters.step <= 2


def test_time_left_is_told_at_the_pace_so_far() -> None:
    half = Counters(step=50, seconds=30.0)
    assert half.seconds_left(StopConfig(steps=100), BATCHES) == pytest.approx(30.0)
    assert half.seconds_left(StopConfig(minutes=2), BATCHES) == pytest.approx(90.0)
    assert half.seconds_left(StopConfig(steps=75, minutes=2), BATCHES) == pytest.approx(15.0), "the first one"
    assert half.seconds_left(StopConfig(minutes=0.1), BATCHES) == 0.0
    assert half.seconds_left(StopConfig(patience=3), BATCHES) is None
    assert Counters().seconds_left(StopConfig(steps=5), BATCHES) is None, "nothing is measured yet"
