"""Data from which nothing can be learned."""

from headway.errors import DataError
from headway.planning.facts import DataFacts

FEWEST = 20
"""Different examples."""
REPEATED = 0.5
"""Share of examples that stand there more than once."""
FEWEST_CHARACTERS = 200
"""Of all different lines of plain text."""


def refuse_hopeless(facts: DataFacts, place: str) -> None:
    """Raises DataError for text that says one thing over and over, with the figures.

    A few examples that differ pass, for they may be a first try; `scarce` has a word for them.
    """
    recipe = "pairs" if facts.pairs else "causal"
    again = f"give other data, or train on it all the same by a recipe: headway train {recipe} data.train=…"
    repeated = facts.duplicates >= REPEATED
    if not facts.pairs and repeated and facts.distinct_text < FEWEST_CHARACTERS:
        raise DataError(
            f"holds {facts.examples:,} documents, of which {facts.distinct:,} differ, with "
            f"{facts.distinct_text:,} characters in all: there is nothing to learn but those; {again}",
            place,
        )
    if facts.pairs and repeated and facts.distinct < FEWEST:
        raise DataError(
            f"holds {facts.examples:,} pairs, of which {facts.distinct:,} differ: a model could only repeat "
            f"them, and {FEWEST} are the least to learn from; {again}",
            place,
        )
    if facts.pairs and facts.targets == 1 and facts.distinct > 1:
        raise DataError(
            f"all {facts.examples:,} targets are the same text: whatever the source, a model would say it; "
            f"{again}",
            place,
        )


def scarce(facts: DataFacts) -> str:
    """A word of warning about very little data; empty if there is enough."""
    if facts.pairs and facts.distinct < FEWEST:
        return f"warning: {facts.distinct} different pairs are enough to try things out, not to learn from"
    return ""
