"""Letters and phonemes aligned by counting alone: which letter each phoneme of a word comes from.

Letters are the states of a hidden Markov model and phonemes what they utter (Vogel et al. 1996). From a
phoneme to the next the word is read on by some letters, or by none, and never back. Which letter utters which
phoneme, and how far one reads on, is learned by expectation and maximization, over all such alignments of all
words; the best one of a word is then found by dynamic programming.

Axes: N words, T phonemes, S letters; L different letters, P different phonemes, J ways to read on.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ids = Sequence[Sequence[int]]
Floats = npt.NDArray[np.float64]
Places = list[list[int]]
"""For each word the letter, from 0, of each phoneme."""

FARTHEST = 5
"""Letters by which one reads on at most."""
SMOOTH = 0.01
"""Added to every count: nothing is impossible."""
LEAST = 1e-300
"""What stands for 0 where it is divided by, or a logarithm taken."""


class Spelling(NamedTuple):
    """What is counted from words."""

    uttered: Floats
    """[L P]: how likely each letter utters each phoneme."""
    onward: Floats
    """[J]: how likely the next phoneme's letter is 0, 1, … letters on."""


def count(letters: Ids, phonemes: Ids, shape: tuple[int, int], rounds: int = 10) -> Spelling:
    """Learned from words; `shape` bounds the ids. The first round takes all alignments for equally likely."""
    pairs = _Pairs(letters, phonemes)
    spelling = Spelling(np.full(shape, 1 / shape[1]), np.full(FARTHEST + 1, 1 / (FARTHEST + 1)))
    for _ in range(rounds):
        spelling = pairs.counted(spelling)
    return spelling


def align(spelling: Spelling, letters: Ids, phonemes: Ids) -> Places:
    """The letter, from 0, of each phoneme of every word, by the likeliest alignment."""
    pairs = _Pairs(letters, phonemes)
    best = pairs.best(spelling)
    return [row[:length].tolist() for row, length in zip(best, pairs.heard.sum(1), strict=True)]


class _Pairs:
    """Words as padded arrays."""

    def __init__(self, letters: Ids, phonemes: Ids) -> None:
        self.letters, self.read = _padded(letters)
        self.phonemes, self.heard = _padded(phonemes)

    def uttered(self, spelling: Spelling) -> Floats:
        """[N T S]: the probability of each phoneme given each letter of its word; 0 at padding."""
        table = spelling.uttered
        return table[self.letters[:, None, :], self.phonemes[:, :, None]] * self.read[:, None, :]

    def counted(self, spelling: Spelling) -> Spelling:
        """A better one: what is uttered and read on by expectation over all alignments (forward-backward)."""
        uttered, onward = self.uttered(spelling), spelling.onward
        before, after = uttered.copy(), np.ones_like(uttered)
        last = uttered.shape[1] - 1
        for phoneme in range(1, last + 1):
            reached = sum(onward[by] * _on(before[:, phoneme - 1], by) for by in range(len(onward)))
            before[:, phoneme] *= reached
        steps = np.zeros_like(onward)
        for phoneme in reversed(range(last)):
            heard = self.heard[:, phoneme + 1, None]
            later = uttered[:, phoneme + 1] * after[:, phoneme + 1] * heard
            ways = [onward[by] * _on(later, -by) for by in range(len(onward))]
            after[:, phoneme] = np.where(heard, sum(ways), 1)
            taken = np.stack([(before[:, phoneme] * way).sum(1) for way in ways], axis=1)
            steps += (taken / np.maximum(taken.sum(1, keepdims=True), LEAST)).sum(0)
        weights = before * after * self.heard[:, :, None]
        weights /= np.maximum(weights.sum(2, keepdims=True), LEAST)
        shape = spelling.uttered.shape
        flat = self.letters[:, None, :] * shape[1] + self.phonemes[:, :, None]
        table = np.bincount(flat.ravel(), weights.ravel(), shape[0] * shape[1]).reshape(shape) + SMOOTH
        steps += SMOOTH
        return Spelling(table / table.sum(1, keepdims=True), steps / steps.sum())

    def best(self, spelling: Spelling) -> npt.NDArray[np.int64]:
        """[N T]: the letters of the likeliest alignment (Viterbi)."""
        likely = np.log(np.maximum(self.uttered(spelling), LEAST))
        likely = np.where(self.read[:, None, :], likely, -np.inf)
        onward = np.log(spelling.onward)
        total, came = likely[:, 0], []
        for phoneme in range(1, likely.shape[1]):
            ways = np.stack([_on(total, by, -np.inf) + onward[by] for by in range(len(onward))])
            heard = self.heard[:, phoneme, None]
            came.append(np.where(heard, ways.argmax(0), 0))
            total = np.where(heard, ways.max(0) + likely[:, phoneme], total)
        place = total.argmax(1)
        found = [place]
        for by in reversed(came):
            place = place - by[np.arange(len(place)), place]
            found.append(place)
        return np.stack(found[::-1], axis=1)


def _on(values: Floats, by: int, empty: float = 0.0) -> Floats:
    """[N S]: every value so many letters further on, or back where that is below 0."""
    moved = np.full_like(values, empty)
    if abs(by) < values.shape[1]:
        moved[:, max(by, 0) : values.shape[1] + min(by, 0)] = values[
            :, max(-by, 0) : values.shape[1] - max(by, 0)
        ]
    return moved


def _padded(rows: Ids) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Rows side by side, and where they are real."""
    lengths = np.array([len(row) for row in rows])
    real = np.arange(lengths.max()) < lengths[:, None]
    found = np.zeros(real.shape, dtype=np.int64)
    found[real] = np.concatenate([np.asarray(row) for row in rows])
    return found, real
