"""Pairs in the words of a made language, few and without exceptions: commands and what is to be done."""

from dataclasses import replace

from headway.planning.facts import DataFacts
from headway.planning.kind import Falling
from headway.planning.strings import STRINGS, is_closed

LETTERS_OF_A_WORD = 3
"""At least, on average; symbols that stand for letters or sounds have fewer."""


def are_commands(facts: DataFacts) -> bool:
    """Whether both sides are words of a closed set."""
    return all(
        is_closed(side) and side.characters.mean >= (1 + LETTERS_OF_A_WORD) * side.words.mean
        for side in facts.sides
    )


COMMANDS = replace(
    STRINGS,
    name="pairs in words of a closed set",
    rate=2e-3,
    dropout=Falling(1_000, 0.3, 10_000, 0.0),
)
"""Rules without exceptions are not learned by heart, but they take many steps to be learned to the letter."""
