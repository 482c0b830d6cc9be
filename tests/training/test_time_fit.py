import json
from dataclasses import asdict
from itertools import pairwise

import pytest

from headway.config import from_table
from headway.training.state import Counters
from headway.training.time_fit import TimeFit


def run_of(pace: list[tuple[int, float]], minutes: float = 1.0) -> tuple[float, list[float]]:
    """Seconds and progress of a run whose first so many steps take so long each, and so on."""
    fit, seconds, shares, step = TimeFit(), 0.0, [], 0
    while fit.steps is None or step < fit.steps:
        step += 1
        seconds += next((each for until, each in pace if step <= until), pace[-1][1])
        fit.look(step, seconds, minutes)
        shares.append(fit.progress(step))
        assert step < 100_000
    return seconds, shares


def test_at_an_even_pace_the_end_is_fixed_once() -> None:
    fit = TimeFit()
    for step in range(1, 600):
        fit.look(step, step * 0.1, 1.0)
    assert (fit.fixed_at, fit.steps) == (60, 600)


@pytest.mark.parametrize(
    "pace",
    [
        [(20, 0.5), (10**6, 0.01)],  # a slow start, as when another program ends
        [(1000, 0.01), (10**6, 0.1)],
        [(300, 0.05), (400, 0.2), (10**6, 0.05)],
    ],
    ids=["faster", "slower", "slower-for-a-while"],
)
def test_a_change_of_pace_moves_the_end_and_progress_stays_a_line_upwards(
    pace: list[tuple[int, float]],
) -> None:
    seconds, shares = run_of(pace)
    assert seconds == pytest.approx(60, rel=0.1)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert max(b - a for a, b in pairwise(shares)) < 0.06, "no leap of the rate"


def test_nothing_is_fixed_before_enough_is_measured() -> None:
    few, early = TimeFit(), TimeFit()
    few.look(19, 6.0, 1.0)
    early.look(500, 5.9, 1.0)
    assert few.steps is None
    assert early.steps is None


@pytest.mark.parametrize("saved", [10, 100, 350])
def test_a_fit_that_was_saved_goes_on_as_it_would_have(saved: int) -> None:
    """The end that was fixed, and the speed that it may be fixed anew by, are in the state of the run."""

    def go(counters: Counters, first: int, last: int) -> list[tuple[int | None, float]]:
        seen = []
        for step in range(first, last):
            pace = 0.1 if step < 200 else 0.2
            counters.step, counters.seconds = step, counters.seconds + pace
            counters.fit.look(step, counters.seconds, 1.0)
            seen.append((counters.fit.steps, counters.fit.progress(step)))
        return seen

    at_once, before = Counters(), Counters()
    whole = go(at_once, 1, 400)
    go(before, 1, saved)
    later = from_table(Counters, json.loads(json.dumps(asdict(before))))
    assert go(later, saved, 400) == whole[saved - 1 :]
    assert len({steps for steps, _ in whole}) > 2, "the pace has changed on the way"
