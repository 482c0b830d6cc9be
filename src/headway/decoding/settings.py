"""How output is searched for: the `search` table of a recipe."""

from dataclasses import dataclass
from typing import Literal

from headway.errors import RecipeError

NEUTRAL = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""Values at which a setting of sampling changes nothing."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How output is searched for; the defaults are the paper's (§6.1). Lengths are in tokens."""

    method: Literal["beam", "greedy", "sample"] = "beam"
    """A `beam` search, the likeliest token each time (`greedy`), or tokens drawn by their probability
    (`sample`)."""
    beams: int = 4
    """Beginnings kept, for `beam`."""
    n_best: int = 1
    """Outputs for each text: at most `beams`, or so many samples."""
    length_penalty: float = 0.6
    """Alpha: a score is log p / ((5 + length) / 6)^alpha, the length with its end (Wu et al. 2016, eq.
    14); 0 = log p alone."""
    max_ratio: float = 1.0
    """For a source of n tokens an output has at most `max_ratio` · n + `max_extra` tokens, its end
    included."""
    max_extra: int = 50
    """See `max_ratio`."""
    min_ratio: float = 0.0
    """For a source of n tokens an output has at least `min_ratio` · n tokens."""
    max_length: int = 0
    """Tokens of an output at most, its end included; 0 = no limit but those above, or a causal model's
    context."""
    min_length: int = 0
    """Tokens of an output at least."""
    temperature: float = 1.0
    """For `sample`: below 1 likelier tokens become likelier still."""
    top_k: int = 0
    """For `sample`: among so many likeliest tokens; 0 = all."""
    top_p: float = 1.0
    """For `sample`: among the fewest likeliest tokens that hold this share of the probability."""
    min_p: float = 0.0
    """For `sample`: among tokens at least this share as likely as the likeliest."""
    repetition_penalty: float = 1.0
    """For `greedy` and `sample`: a token already in the text has its probability raised to this power."""
    seed: int = 0
    """For `sample`: the same seed and text give the same sample."""
    batch_tokens: int = 16384
    """Rows times their longest possible length that are decoded together."""

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
