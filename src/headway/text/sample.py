"""A bounded, deterministic sample of lines to learn a vocabulary from, whatever the size of the corpus."""

import random
from collections.abc import Iterable, Iterator

MAX_CHARACTERS = 100_000_000
"""How much text a vocabulary is learned from at most."""
LONGEST_LINE = 10_000
"""Longer lines are learned from in pieces of this many characters."""


def sample_lines(texts: Iterable[str], most: int, most_characters: int = MAX_CHARACTERS) -> list[str]:
    """At most `most` of the lines of the texts, in order, line ends kept; all of them if they fit.

    Each line draws a number and stays if that is below a limit; whenever too many stay, the limit falls to
    their median. So every line has the same chance, one pass is enough, and memory is bounded.
    """
    draw = random.Random(0).random
    limit, characters = 1.0, 0
    kept: list[tuple[float, str]] = []
    for line in _lines(texts):
        number = draw()
        if number >= limit:
            continue
        kept.append((number, line))
        characters += len(line)
        while len(kept) > 1 and (len(kept) > most or characters > most_characters):
            limit = sorted(number for number, _ in kept)[len(kept) // 2]
            kept = [entry for entry in kept if entry[0] < limit]
            characters = sum(len(text) for _, text in kept)
    return [line for _, line in kept]


def _lines(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for line in text.splitlines(keepends=True):
            for start in range(0, len(line), LONGEST_LINE):
                yield line[start : start + LONGEST_LINE]
