"""What chance does to a ratio of sums over N examples: resampling of examples (Efron 1979)."""

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
    ratios = _ratios(*_resampled(parts, wholes))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(
        ratios, [tail, 1 - tail], method="inverted_cdf"
    )  # one of them: they may be infinite
    return float(low), float(high)


def p_value(first: Counts, second: Counts, wholes_first: Counts, wholes_second: Counts) -> float:
    """How often chance alone makes the two ratios differ as much (paired, two-sided; Koehn 2004)."""
    difference = ratio(first.sum(), wholes_first.sum()) - ratio(second.sum(), wholes_second.sum())
    a, b, whole_a, whole_b = _resampled(first, second, wholes_first, wholes_second)
    resampled = _ratios(a, whole_a) - _ratios(b, whole_b)
    # Resampled differences spread around the one observed; around zero they are what chance makes.
    as_large = np.abs(resampled - resampled.mean()) >= abs(difference)
    return float((as_large.sum() + 1) / (SAMPLES + 1))


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
