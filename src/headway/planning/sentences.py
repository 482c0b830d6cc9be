"""Pairs of sentences: translation, rewriting, summaries."""

from collections.abc import Sequence

from headway.planning.draft import Draft
from headway.planning.facts import DataFacts, Side
from headway.planning.kind import Falling, Kind
from headway.planning.units import BYTES

JOINT_VOCABULARY = (
    (3_000, 1_000),
    (15_000, 2_000),
    (60_000, 4_000),
    (1_000_000, 8_000),
    (10_000_000, 16_000),
)
"""Up to so many pairs, so many tokens."""
LARGEST_VOCABULARY = 32_000
LONG = 40
"""Words of a pair, above which it counts as several."""
UNSPACED = 0.3
"""Share of a side's characters."""
TOKENS_A_CHARACTER = 1.2
"""Three bytes are two merges, of which the first serves many characters."""


def vocabulary_for(table: tuple[tuple[int, int], ...], amount: float, largest: int) -> int:
    """The size beside the first bound that is not exceeded."""
    return next((size for bound, size in table if amount <= bound), largest)


def room_for_characters(sides: Sequence[Side]) -> int:
    """Byte-level tokens that hold each character of scripts without blanks that is seen more than once."""
    kinds = sum(side.alphabet.kinds - side.alphabet.once for side in sides if side.unspaced >= UNSPACED)
    return -(-round(BYTES + TOKENS_A_CHARACTER * kinds) // 500) * 500 if kinds else 0


def vocabulary_of(facts: DataFacts) -> tuple[int, str]:
    """How many tokens for pairs, and why; long pairs count as several."""
    usual = max(1.0, max(side.words.mean for side in facts.sides) / LONG)
    size = vocabulary_for(JOINT_VOCABULARY, usual * facts.examples, LARGEST_VOCABULARY)
    reason = f"by the number of pairs, {facts.examples:,}"
    if usual > 1:
        reason = f"by the amount of text, {facts.examples:,} long pairs"
    room = room_for_characters(facts.sides)
    if room and any(side.unspaced < UNSPACED for side in facts.sides):
        room += size // 2
    if room > size:
        return min(room, LARGEST_VOCABULARY), "with room for each character where no blanks part words"
    return size, reason


def choose_text(draft: Draft, facts: DataFacts) -> None:
    """One byte-level vocabulary for both sides, the larger the more text there is to learn it from."""
    kind = draft.choose("text.target.kind", "bpe", "sentences; byte-level, so that nothing is unknown")
    size, why = vocabulary_of(facts)
    of = "both sides" if draft.get("text.source") is None else "the target"
    if kind in ("bpe", "unigram", "wordpiece"):
        draft.choose("text.target.vocab_size", size, f"for {of}, {why}")
    else:
        _count(draft, "target", kind, facts)
    if draft.get("text.source") is not None:
        own = draft.get("text.source.kind", "bpe")
        if own in ("bpe", "unigram", "wordpiece"):
            draft.choose("text.source.vocab_size", size, "as large as that of the target")
        else:
            _count(draft, "source", own, facts)


def _count(draft: Draft, name: str, kind: str, facts: DataFacts) -> None:
    """Room for all characters, or for all words that are seen more than once."""
    assert facts.source is not None, "sentences come in pairs"
    sides = (
        facts.sides
        if draft.get("text.source") is None
        else ((facts.source,) if name == "source" else (facts.target,))
    )
    if kind == "characters":
        size = sum(side.alphabet.kinds for side in sides) + 100
    else:
        size = min(50_000, sum(side.vocabulary.kinds - side.vocabulary.once for side in sides) + 1_000)
    draft.choose(f"text.{name}.vocab_size", size, f"room for the {kind} of the text")


SENTENCES = Kind(
    name="pairs of sentences",
    preset="pairs-small",
    stacks=("encoder_layers", "decoder_layers"),
    choose_text=choose_text,
    size="medium",
    examples={"tiny": 0, "small": 3_000, "medium": 20_000, "base": 500_000},
    ample_epochs=20,
    tokens=4096,
    rate=3e-3,
    warmup=200,
    dropout=Falling(10_000, 0.3, 160_000, 0.1),
    single_pass=2,
    epochs=(100, 0.6, 3, 150),
)
