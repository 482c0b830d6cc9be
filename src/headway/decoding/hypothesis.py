"""What a search finds."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Hypothesis:
    """One output for one text."""

    ids: list[int]
    """Tokens of `text`, without special ones."""
    text: str
    score: float
    """Sum of `log_probs`, divided by the length penalty."""
    finished: bool
    """Whether it ends where the model ended it; False where a limit cut it."""
    log_probs: list[float]
    """Of each token that the search chose, </s> included; a forced prefix was not chosen."""


class Found(NamedTuple):
    """What one search chose for one row: tokens with their </s> if there is one."""

    ids: list[int]
    log_probs: list[float]
    score: float
    finished: bool


def found(ids: list[int], log_probs: list[float], length_penalty: float, end: int) -> Found:
    """What was chosen, with its score; `end` is the token that ends a text."""
    score = sum(log_probs) / penalty(len(log_probs), length_penalty)
    return Found(ids, log_probs, score, ids[-1] == end)


def penalty(length: int, alpha: float) -> float:
    """((5 + length) / 6) ** alpha, by which a log-probability is divided (Wu et al. 2016, eq. 14)."""
    return float(((5 + length) / 6) ** alpha)
