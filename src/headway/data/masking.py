"""Which tokens a masked language model must restore, and what it sees in their place.

After Devlin et al. 2019 (BERT), §3.1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, Integer

from headway.data.keyed_random import Draw, keyed_uniform
from headway.errors import RecipeError
from headway.text.special import SpecialIds

WordStarts = Callable[[Integer[np.ndarray, " n"]], Bool[np.ndarray, " n"]]
"""True where a token starts a new word."""

_MASK_SHARE = 0.8
_RANDOM_SHARE = 0.1


class Masked(NamedTuple):
    ids: Int64[np.ndarray, " n"]
    chosen: Bool[np.ndarray, " n"]
    """Where the original token is to be predicted."""


class TokenKeys(NamedTuple):
    """What the random numbers of each token hang on: not on its batch, its row, nor how its text was cut."""

    seed: int
    epoch: int
    examples: Integer[np.ndarray, " n"]
    positions: Integer[np.ndarray, " n"]
    """Counted from the start of the whole text."""


@dataclass(frozen=True, kw_only=True)
class Masking:
    """Dynamic masking: of the chosen tokens 80 % become the mask, 10 % a random token, 10 % stay.

    The share of chosen tokens goes in a line from `rate` to `rate_end` as training progresses from 0 to 1.
    With `word_starts` whole words are chosen, and all tokens of a word share its fate.
    """

    special: SpecialIds
    vocab_size: int
    rate: float = 0.15
    rate_end: float | None = None
    word_starts: WordStarts | None = None

    def __post_init__(self) -> None:
        for name, rate in (("rate", self.rate), ("rate_end", self.rate_end)):
            if rate is not None and not 0 < rate <= 1:
                raise RecipeError(f"masking.{name} = {rate}: must be above 0 and at most 1")
        if self.special.mask is None:
            raise RecipeError("the vocabulary has no token for a mask, by which a masked model learns")
        if not len(self._ordinary):
            raise RecipeError(f"a vocabulary of {self.vocab_size} holds no token beside the special ones")

    @cached_property
    def _ordinary(self) -> Int64[np.ndarray, " v"]:
        """The tokens that may stand in the place of another."""
        return np.setdiff1d(np.arange(self.vocab_size), sorted(self.special.all))

    def rate_at(self, progress: float) -> float:
        end = self.rate if self.rate_end is None else self.rate_end
        return self.rate + (end - self.rate) * min(max(progress, 0.0), 1.0)

    def apply(
        self, ids: Int64[np.ndarray, " n"], pieces: Int64[np.ndarray, " p"], keys: TokenKeys, progress: float
    ) -> Masked:
        """Masks consecutive pieces of these lengths: at least one token of every piece that is not empty."""
        if not len(ids):
            return Masked(ids, np.zeros(0, dtype=np.bool_))
        first_token = (np.cumsum(pieces) - pieces)[pieces > 0]
        starts = np.ones(len(ids), dtype=np.bool_)
        if self.word_starts is not None:
            starts[:] = self.word_starts(ids)
            starts[first_token] = True  # no word reaches over from one piece into the next
        word = np.cumsum(starts) - 1
        first = np.flatnonzero(starts)

        def uniform(draw: Draw, at: Int64[np.ndarray, " m"]) -> np.ndarray:
            return keyed_uniform(keys.seed, keys.epoch, draw, keys.examples[at], keys.positions[at])

        score = uniform(Draw.MASK_CHOICE, first)
        # The lowest score of a piece is chosen even where it is not under the rate.
        lowest = np.minimum.reduceat(score, word[first_token])
        words_in_piece = np.diff(word[first_token], append=len(first))
        chosen = ((score < self.rate_at(progress)) | (score == np.repeat(lowest, words_in_piece)))[word]

        at = np.flatnonzero(chosen)
        kind = uniform(Draw.MASK_KIND, first[word[at]])
        token = uniform(Draw.MASK_TOKEN, at)
        replaced = self._ordinary[(token * len(self._ordinary)).astype(np.int64)]
        out = ids.copy()
        out[at] = np.where(kind < 1 - _RANDOM_SHARE, replaced, ids[at])
        out[at[kind < _MASK_SHARE]] = self.special.mask
        return Masked(out, chosen)
