"""How output is searched for: the `search` table of a recipe."""

from dataclasses import dataclass
from typing import Literal

from headway.errors import RecipeError

NEUTRAL = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""Values at which a setting of sampling changes nothing."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Defaults are the paper's search (Paper §6.1); lengths are in tokens, mostly without </s>."""

    method: Literal["beam", "greedy", "sample"] = "beam"
    beams: int = 4
    n_best: int = 1
    """Hypotheses returned for each text: the best of a beam search, or so many samples."""
    length_penalty: float = 0.6
    """alpha: a score is log p / ((5 + length) / 6) ** alpha, length with </s> (Wu et al. 2016, eq. 14)."""
    max_ratio: float = 1.0
    """With a source of n tokens, an output takes at most max_ratio * n + max_extra tokens with its </s>."""
    max_extra: int = 50
    min_ratio: float = 0.0
    """With a source of n tokens, an output has at least min_ratio * n tokens."""
    max_length: int = 0
    """Most tokens of an output with its </s>; 0 = no limit but those above, or a causal model's context."""
    min_length: int = 0
    temperature: float = 1.0
    top_k: int = 0
    """Sample among so many likeliest tokens; 0 = among all."""
    top_p: float = 1.0
    """Sample among the fewest likeliest tokens that hold this share of the probability."""
    min_p: float = 0.0
    """Sample among tokens at least this share as likely as the likeliest."""
    repetition_penalty: float = 1.0
    """A token already in the text has its probability raised to this power, for greedy and sample."""
    seed: int = 0
    batch_tokens: int = 16384
    """Rows times their longest possible length, decoded together."""

    def __post_init__(self) -> None:
        for problem in self._out_of_range() + self._without_effect():
            raise RecipeError(problem)

    def _out_of_range(self) -> list[str]:
        rules = [
            ("beams", self.beams >= 1, "at least 1"),
            ("n_best", self.n_best >= 1, "at least 1"),
            ("length_penalty", self.length_penalty >= 0, "at least 0"),
            ("max_ratio", self.max_ratio >= 0, "at least 0"),
            ("max_extra", self.max_extra >= 1, "at least 1"),
            ("min_ratio", self.min_ratio >= 0, "at least 0"),
            ("max_length", self.max_length >= 0, "at least 0"),
            ("min_length", self.min_length >= 0, "at least 0"),
            ("temperature", self.temperature > 0, "above 0 (for the likeliest token, method = 'greedy')"),
            ("top_k", self.top_k >= 0, "at least 0"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("min_p", 0 <= self.min_p <= 1, "from 0 to 1"),
            ("repetition_penalty", self.repetition_penalty > 0, "above 0"),
            ("batch_tokens", self.batch_tokens >= 1, "at least 1"),
        ]
        return [
            f"search.{key} = {getattr(self, key)}: must be {rule}" for key, good, rule in rules if not good
        ]

    def _without_effect(self) -> list[str]:
        """Settings that the method would ignore, or that contradict it."""
        found = []
        if self.method != "sample":
            changed = [key for key, neutral in NEUTRAL.items() if getattr(self, key) != neutral]
            found += [
                f"search.{key} = {getattr(self, key)} has no effect with method = {self.method!r}: "
                f"choose method = 'sample' or leave it at {NEUTRAL[key]}"
                for key in changed
            ]
        if self.method == "beam" and self.repetition_penalty != 1:
            found.append(
                "search.repetition_penalty has no effect with method = 'beam': choose 'greedy' or 'sample'"
            )
        if self.method == "beam" and self.n_best > self.beams:
            found.append(f"search.n_best = {self.n_best} needs as many beams, and beams = {self.beams}")
        if self.method == "greedy" and self.n_best > 1:
            found.append(
                "search.n_best: a greedy search finds 1 hypothesis; choose method = 'beam' or 'sample'"
            )
        return found
