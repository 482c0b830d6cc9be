"""Plain text, for a causal or a masked language model."""

from dataclasses import replace

from headway.planning.draft import Draft
from headway.planning.facts import DataFacts
from headway.planning.kind import Falling, Kind
from headway.planning.sentences import room_for_characters, vocabulary_for

SMALL_TEXT = 5_000_000
"""Characters, up to which characters are learned one by one."""
SMALL_ALPHABET = 200
SPARE = 20
"""Places in a vocabulary of characters beyond what was counted."""
WRAPPED = 50
"""Characters of a usual line of a book, at least."""
LARGEST_FILE = 100_000_000
"""Characters of all files, to be read as one text each."""
VOCABULARY = ((300_000, 1_000), (2_000_000, 4_000), (100_000_000, 8_000), (1_000_000_000, 16_000))
"""Up to so many characters, so many tokens."""
LARGEST_VOCABULARY = 32_000


def is_running_text(facts: DataFacts) -> bool:
    """Whether lines follow each other, as in a book, and are no list: paragraphs, or lines of one width."""
    lines = facts.target.characters
    wrapped = facts.layout == "lines" and lines.median >= WRAPPED and lines.most <= 1.25 * lines.median
    return (wrapped or facts.layout == "documents") and facts.characters <= LARGEST_FILE


def choose_text(draft: Draft, facts: DataFacts) -> None:
    """Characters of a small text with a small alphabet, else byte-level pieces of words."""
    side = facts.target
    total = facts.characters
    small = total <= SMALL_TEXT and side.alphabet.kinds <= SMALL_ALPHABET
    why = f"{total:,} characters of {side.alphabet.kinds} kinds"
    if small and facts.layout != "jsonl":
        kind = draft.choose("text.target.kind", "characters", f"{why}: too few to learn words from")
    else:
        kind = draft.choose("text.target.kind", "bpe", f"{why}; byte-level, so that nothing is unknown")
    if kind == "characters":
        draft.choose("text.target.vocab_size", side.alphabet.kinds + SPARE, "room for all of them")
    else:
        _choose_size(draft, facts)


def choose_pieces(draft: Draft, facts: DataFacts) -> None:
    """Byte-level pieces of words; a blank then stands for a word more often than for a letter."""
    draft.choose("text.target.kind", "bpe", "a blank is to stand for a word, or for a part of one")
    _choose_size(draft, facts)


def _choose_size(draft: Draft, facts: DataFacts) -> None:
    """Of byte-level pieces."""
    size = vocabulary_for(VOCABULARY, facts.characters, LARGEST_VOCABULARY)
    reason = f"by the amount of text, {facts.characters:,} characters"
    if (room := room_for_characters(facts.sides)) > size:
        size = min(room, LARGEST_VOCABULARY)
        reason = "with room for each character, since no blanks part words"
    draft.choose("text.target.vocab_size", size, reason)


CAUSAL = Kind(
    name="plain text",
    preset="causal-small",
    stacks=("decoder_layers",),
    choose_text=choose_text,
    size="medium",
    examples={"tiny": 0, "small": 100_000, "medium": 400_000, "large": 20_000_000, "base": 100_000_000},
    least_steps=1500,
    ample_epochs=60,
    tokens=2048,
    rate=4e-3,
    warmup=150,
    smoothing=0.0,
    dropout=Falling(2_000_000, 0.1, 50_000_000, 0.0),
    single_pass=8,
    epochs=(300, 0.5, 1, 100),
)
"""Examples are characters here."""

MASKED = replace(
    CAUSAL,
    name="plain text with blanks",
    preset="masked-small",
    stacks=("encoder_layers",),
    choose_text=choose_pieces,
)
