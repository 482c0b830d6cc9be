"""How well text is predicted: perplexity, bits per byte, masked accuracy. Axis: N examples."""

import math

import numpy as np
from jaxtyping import Float, Int

from headway.evaluation.bootstrap import interval, ratio
from headway.evaluation.result import Measure


def perplexity(log_probs: Float[np.ndarray, "N"], tokens: Int[np.ndarray, "N"]) -> Measure:
    """exp of the mean surprise a token, from each text's summed log-probability (nats) and number of tokens.

    Perplexities compare only where the vocabulary is the same; bits per byte compare always.
    """
    low, high = interval(-log_probs, tokens)
    return Measure(
        name="perplexity",
        value=_exp(ratio(-log_probs.sum(), tokens.sum())),
        low=_exp(low),
        high=_exp(high),
        lower_is_better=True,
    )


def bits_per_byte(log_probs: Float[np.ndarray, "N"], sizes: Int[np.ndarray, "N"]) -> Measure:
    """What a byte of raw text (UTF-8) costs, from each text's summed log-probability (nats) and its bytes."""
    bits = -log_probs / math.log(2)
    low, high = interval(bits, sizes)
    return Measure(
        name="bits per byte",
        value=ratio(bits.sum(), sizes.sum()),
        low=low,
        high=high,
        lower_is_better=True,
    )


def masked_accuracy(correct: Int[np.ndarray, "N"], masked: Int[np.ndarray, "N"]) -> Measure:
    """The share of hidden tokens that were guessed, from each text's counts."""
    low, high = interval(correct, masked)
    return Measure(
        name="masked accuracy",
        value=100 * ratio(correct.sum(), masked.sum()),
        low=100 * low,
        high=100 * high,
        unit="%",
    )


def unknown_tokens(unknown: Int[np.ndarray, "N"], tokens: Int[np.ndarray, "N"]) -> Measure:
    """The share of tokens that stand for what the vocabulary lacks, from each text's counts.

    Such a token is easy to predict and says little, so the figures beside it flatter.
    """
    low, high = interval(unknown, tokens)
    return Measure(
        name="unknown tokens",
        value=100 * ratio(unknown.sum(), tokens.sum()),
        low=100 * low,
        high=100 * high,
        unit="%",
        lower_is_better=True,
    )


def _exp(exponent: float) -> float:
    return math.exp(exponent) if exponent < 700 else math.inf
