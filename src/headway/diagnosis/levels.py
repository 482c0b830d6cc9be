"""The course of a training loss without the noise of single batches, and where it rose."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from headway.diagnosis.history import History, Step

WIDTH = 3
"""Lines of the log whose median is a level: one odd batch does not move it."""

LEAST_RISE = 0.5
"""Nats per label above the best level that count as a rise at the least: two thirds more perplexity."""

NOISES = 4.0
"""How many times as high a rise is as what two neighbouring lines usually differ by: small batches are
noisy."""

LONG = 0.25
"""Share of the log above the best level from which on a rise is no spike: what comes back so late has lost
that time, and comes back only as the rate falls."""

NEAR_WARMUP = 200
"""Steps after the end of warm-up in which a spike is still its consequence: Adam's means of squares, with a
decay of 0.98 to 0.999, remember about as many."""


@dataclass(frozen=True)
class Rise:
    """A stretch in which the loss stood far above the best level before it."""

    best: float
    """The level from which it rose."""
    start: int
    """The step of that level."""
    peak: float
    peak_step: int
    lasting: bool
    """Whether it goes on still, or took so long that it was no spike."""


def level(steps: Sequence[Step]) -> float:
    """The loss of some steps, whatever single batches were like."""
    return statistics.median(step.loss for step in steps)


def noise(steps: Sequence[Step]) -> float:
    """What the losses of two neighbouring lines usually differ by, in nats."""
    return statistics.median(abs(b.loss - a.loss) for a, b in pairwise(steps)) if len(steps) > 1 else 0.0


def rises(history: History) -> list[Rise]:
    """All stretches in which the training loss stood far above its best level before, in order."""
    steps = history.good_steps
    enough = max(LEAST_RISE, NOISES * noise(steps))
    found: list[Rise] = []
    best, start, peak, peak_step, lines = math.inf, 0, -math.inf, 0, 0
    for i in range(WIDTH - 1, len(steps)):
        now, step = level(steps[i - WIDTH + 1 : i + 1]), steps[i].step
        if lines and now <= best + 0.1 * (peak - best):
            found.append(Rise(best, start, peak, peak_step, lines > LONG * len(steps)))
            lines, peak = 0, -math.inf
        elif lines or now > best + enough:
            lines += 1
            peak, peak_step = max((peak, peak_step), (now, step))
        if now < best:
            best, start = now, step
    return [*found, Rise(best, start, peak, peak_step, lasting=True)] if lines >= WIDTH else found


def takes_back(history: History, rise: Rise) -> bool:
    """Whether a rise takes back more than half of what had been learned before it."""
    first = history.good_steps[0].loss
    return rise.peak - rise.best > 0.5 * (first - rise.best)


def near_warmup(history: History, step: int) -> bool:
    """Whether what happens at a step may still be due to the warm-up."""
    return step <= max(2 * history.warmup, history.warmup + NEAR_WARMUP)
