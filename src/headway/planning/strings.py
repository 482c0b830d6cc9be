"""Pairs of short strings with small alphabets: pronunciation, inflection, transliteration, commands."""

from headway.planning.draft import Draft
from headway.planning.facts import DataFacts, Side
from headway.planning.kind import Falling, Kind

LONGEST = 40
"""Characters of the longer side of a usual pair, at most."""
LARGEST_ALPHABET = 600
"""Characters of an alphabet, at most; a syllable of Hangul counts as the letters that it is made of."""
SPARE = 20
"""Places in a vocabulary beyond what was counted; of a sample half as many again."""
MOST_SYMBOLS = 200
"""Different symbols of a side that is made of symbols, at most."""
FEWEST_SYMBOLS = 3
"""Of a line on average."""
OFTEN = 20
"""How often a symbol occurs on average, at least, where symbols are a closed set."""
SEEN_ONCE = 0.25
"""Share of symbols that may be seen only once."""
ALIKE = 0.8
"""Share of targets' characters or symbols of kinds that sources have, for one vocabulary of both."""
SOME_HANGUL = 0.1
"""Share of characters."""


def are_strings(facts: DataFacts) -> bool:
    """Whether the pairs are of this kind."""
    return all(is_closed(side) or _is_short(side) for side in facts.sides)


def _is_short(side: Side) -> bool:
    kinds = side.alphabet.kinds if side.hangul < SOME_HANGUL else 100
    return side.characters.median <= LONGEST and kinds <= LARGEST_ALPHABET and side.words.median <= 4


def is_closed(side: Side) -> bool:
    """Whether it is made of symbols that are separated by blanks, few and often used."""
    vocabulary = side.vocabulary
    return (
        side.words.mean >= FEWEST_SYMBOLS
        and vocabulary.kinds <= MOST_SYMBOLS
        and vocabulary.seen >= OFTEN * vocabulary.kinds
        and vocabulary.once <= SEEN_ONCE * vocabulary.kinds
    )


def choose_text(draft: Draft, facts: DataFacts) -> None:
    """Symbols where a side is made of them, else characters; one vocabulary where both sides are alike."""
    assert facts.source is not None, "strings come in pairs"
    closed = [is_closed(side) for side in facts.sides]
    shared = facts.shared_words if all(closed) else facts.shared
    own = closed[0] != closed[1] or shared < ALIKE
    if own or draft.get("text.source") is not None:
        _choose(draft, "source", (facts.source,), closed[0], facts)
        _choose(draft, "target", (facts.target,), closed[1], facts)
    else:
        _choose(draft, "target", facts.sides, closed[1], facts)


def _choose(draft: Draft, name: str, sides: tuple[Side, ...], closed: bool, facts: DataFacts) -> None:
    key, side = f"text.{name}", sides[-1]
    if closed:
        unit = "symbols"
        why = f"{side.vocabulary.kinds} different symbols between blanks, {side.words.mean:.1f} a line"
    else:
        unit = "characters"
        why = f"{side.alphabet.kinds} different characters, {side.characters.median} a line"
    if len(sides) > 1:
        shared = facts.shared_words if closed else facts.shared
        why += f"; for both sides: {shared:.0%} of targets' {unit} are of kinds that sources have"
    kind = draft.choose(f"{key}.kind", unit, why)
    if kind == "characters" and (hangul := max(each.hangul for each in sides)) >= SOME_HANGUL:
        why = f"{hangul:.0%} of characters are Korean syllables: as letters they are few and often seen"
        written = "" if name == "source" else ", and written as syllables"
        draft.choose(f"{key}.normalize", "nfd" if name == "source" else "letters", why + written)
    if kind in ("characters", "symbols", "words"):
        kinds = sum((each.vocabulary if kind != "characters" else each.alphabet).kinds for each in sides)
        room = kinds + SPARE + (kinds // 2 if facts.estimated else 0)
        draft.choose(f"{key}.vocab_size", room, "room for all of them, and for the special tokens")
    else:
        draft.choose(f"{key}.vocab_size", 1000, f"small, for {kind} of short strings")


STRINGS = Kind(
    name="pairs of short strings",
    preset="pairs-small",
    stacks=("encoder_layers", "decoder_layers"),
    choose_text=choose_text,
    size="small",
    examples={"tiny": 0, "small": 1_000, "medium": 50_000},
    least_steps=2500,
    ample_epochs=100,
    rows=128,
    tokens=8192,
    rate=4e-3,
    warmup=150,
    dropout=Falling(5_000, 0.3, 300_000, 0.0),
    r_drop_epochs=100,
    epochs=(120, 0.6, 3, 300),
)
