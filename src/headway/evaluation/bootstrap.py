"""What chance does to a ratio of sums over N examples: resampling of examples (Efron 1979)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real

SAMPLES = 1000
CONFIDENCE = 0.95
SEED = 12345

Counts = Real[np.ndarray, "N"]


def ratio(part: float | np.number, whole: float | np.number) -> float:
    """part / whole; nothing of nothing is 0."""
    return float(_ratios(np.array([part]), np.array([whole]))[0])


def interval(parts: Counts, wholes: Counts) -> tuple[float, float]:
    """Bounds of sum(parts) / sum(wholes) that hold with 95 % confidence."""
    return bounds_of(_ratios(*_resampled(parts, wholes)))


class Difference(NamedTuple):
    """What chance does to the difference of two systems on the same examples."""

    p_value: float
    """How often chance alone makes a difference as large."""
    low: float
    """With `high` the bounds of the difference that hold with 95 % confidence."""
    high: float


def paired_difference(
    first: Counts,
    second: Counts,
    wholes_first: Counts,
    wholes_second: Counts,
    shown: Callable[[Float[np.ndarray, "M"]], Float[np.ndarray, "M"]] | None = None,
) -> Difference:
    """First less second, each a ratio of sums (paired, two-sided; Koehn 2004).

    `shown` makes of a ratio the figure that people see, in which the bounds are; it must be increasing.
    """
    difference = ratio(first.sum(), wholes_first.sum()) - ratio(second.sum(), wholes_second.sum())
    a, b, whole_a, whole_b = _resampled(first, second, wholes_first, wholes_second)
    one, other = _ratios(a, whole_a), _ratios(b, whole_b)
    bounds = bounds_of(one - other if shown is None else shown(one) - shown(other))
    return Difference(chance_of(difference, one - other), *bounds)


def chance_of(difference: float, resampled: Float[np.ndarray, "M"]) -> float:
    """How often chance alone makes a difference as large, from differences of resampled examples."""
    # Resampled differences spread around the one observed; around zero they are what chance makes.
    as_large = np.abs(resampled - resampled.mean()) >= abs(difference)
    return float((as_large.sum() + 1) / (len(resampled) + 1))


def bounds_of(resampled: Float[np.ndarray, "M"]) -> tuple[float, float]:
    """Bounds that hold with 95 % confidence, from figures of resampled examples."""
    tail = (1 - CONFIDENCE) / 2
    # One of them, for they may be infinite.
    low, high = np.quantile(resampled, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


def _ratios(parts: Real[np.ndarray, "M"], wholes: Real[np.ndarray, "M"]) -> Float[np.ndarray, "M"]:
    found = np.where(parts, np.inf, 0.0)
    np.divide(parts, wholes, out=found, where=wholes != 0)
    return found


def _resampled(*columns: Counts) -> Float[np.ndarray, "K M"]:
    """Each column's sums over as many examples, drawn with replacement, SAMPLES times."""
    table = np.stack(columns, axis=1).astype(np.float64)
    assert len(table), "nothing can be said of no example"
    generator = np.random.default_rng(SEED)
    draws = (generator.integers(len(table), size=len(table)) for _ in range(SAMPLES))
    return np.stack([table[draw].sum(axis=0) for draw in draws], axis=1)
