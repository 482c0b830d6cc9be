"""Letters and phonemes aligned by counting alone: which letter each phoneme of a word comes from.

Letters are the states of a hidden Markov model and phonemes what they utter (Vogel et al. 1996); the letter
of a phoneme never lies before that of the phoneme before it. Which letter utters which phoneme is learned by
expectation and maximization, over all such alignments of all words; the best one of a word is then found by
dynamic programming.

Axes: N words, T phonemes, S letters; L different letters, P different phonemes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ids = Sequence[Sequence[int]]
Floats = npt.NDArray[np.float64]
Places = list[list[int]]
"""For each word the letter, from 0, of each phoneme."""

SMOOTH = 0.01
"""Added to every count: nothing is impossible."""
LEAST = 1e-300
"""What stands for 0 where it is divided by, or a logarithm taken."""


def count(letters: Ids, phonemes: Ids, shape: tuple[int, int], rounds: int = 10) -> Floats:
    """[L P]: how likely each letter utters each phoneme, counted from words; `shape` bounds the ids.

    The first round counts all alignments of a word alike, of which most are near the diagonal.
    """
    pairs = _Pairs(letters, phonemes)
    table = np.full(shape, 1 / shape[1])
    for _ in range(rounds):
        table = pairs.counts(pairs.expected(table), shape)
    return table


def align(table: Floats, letters: Ids, phonemes: Ids) -> Places:
    """The letter, from 0, of each phoneme of every word: the likeliest that never go back.

    Of equally likely ones those nearest to the diagonal are taken.
    """
    pairs = _Pairs(letters, phonemes)
    best = pairs.best(table)
    return [row[:length].tolist() for row, length in zip(best, pairs.heard.sum(1), strict=True)]


class _Pairs:
    """Words as padded arrays."""

    def __init__(self, letters: Ids, phonemes: Ids) -> None:
        self.letters, self.read = _padded(letters)
        self.phonemes, self.heard = _padded(phonemes)
        across = (np.arange(self.letters.shape[1]) + 0.5) / self.read.sum(1)[:, None, None]
        down = (np.arange(self.phonemes.shape[1])[:, None] + 0.5) / self.heard.sum(1)[:, None, None]
        self.off_diagonal = np.abs(across - down)

    def uttered(self, table: Floats) -> Floats:
        """[N T S]: the probability of each phoneme given each letter of its word; 0 at padding."""
        return table[self.letters[:, None, :], self.phonemes[:, :, None]] * self.read[:, None, :]

    def expected(self, table: Floats) -> Floats:
        """[N T S]: how likely each phoneme comes from each letter, over all alignments (forward-backward)."""
        uttered = self.uttered(table)
        before, after = uttered.copy(), np.zeros_like(uttered)
        after[:, -1] = 1
        for phoneme in range(1, uttered.shape[1]):
            before[:, phoneme] *= before[:, phoneme - 1].cumsum(axis=1)
        for phoneme in reversed(range(uttered.shape[1] - 1)):
            later = uttered[:, phoneme + 1] * after[:, phoneme + 1]
            on = later[:, ::-1].cumsum(axis=1)[:, ::-1]
            after[:, phoneme] = np.where(self.heard[:, phoneme + 1, None], on, 1)
        both = before * after * self.heard[:, :, None]
        return both / np.maximum(both.sum(2, keepdims=True), LEAST)

    def counts(self, weights: Floats, shape: tuple[int, int]) -> Floats:
        """[L P]: the probability of each phoneme given a letter, from weighted pairs."""
        flat = self.letters[:, None, :] * shape[1] + self.phonemes[:, :, None]
        found = np.bincount(flat.ravel(), weights.ravel(), shape[0] * shape[1]).reshape(shape) + SMOOTH
        return found / found.sum(1, keepdims=True)

    def best(self, table: Floats) -> npt.NDArray[np.int64]:
        """[N T]: the likeliest letters that never go back (Viterbi)."""
        likely = np.log(np.maximum(self.uttered(table), LEAST)) - 1e-6 * self.off_diagonal
        likely = np.where(self.read[:, None, :], likely, -np.inf)
        total = likely[:, 0]
        totals = [total]
        for phoneme in range(1, likely.shape[1]):
            step = np.maximum.accumulate(total, axis=1) + likely[:, phoneme]
            total = np.where(self.heard[:, phoneme, None], step, total)
            totals.append(total)
        last = np.full(len(total), total.shape[1] - 1)
        found = np.zeros(self.phonemes.shape, dtype=np.int64)
        for phoneme in reversed(range(likely.shape[1])):
            allowed = np.arange(total.shape[1]) <= last[:, None]
            chosen = np.where(allowed, totals[phoneme], -np.inf).argmax(axis=1)
            found[:, phoneme] = chosen
            last = np.where(self.heard[:, phoneme], chosen, last)
        return found


def _padded(rows: Ids) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Rows side by side, and where they are real."""
    lengths = np.array([len(row) for row in rows])
    real = np.arange(lengths.max()) < lengths[:, None]
    found = np.zeros(real.shape, dtype=np.int64)
    found[real] = np.concatenate([np.asarray(row) for row in rows])
    return found, real
