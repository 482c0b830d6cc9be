"""Pairs of sentences: translation, rewriting, summaries."""

from headway.planning.draft import Draft
from headway.planning.facts import DataFacts
from headway.planning.kind import Falling, Kind

JOINT_VOCABULARY = (
    (3_000, 1_000),
    (15_000, 2_000),
    (60_000, 4_000),
    (1_000_000, 8_000),
    (10_000_000, 16_000),
)
"""Up to so many pairs, so many tokens."""
LARGEST_VOCABULARY = 32_000


def vocabulary_for(table: tuple[tuple[int, int], ...], amount: float, largest: int) -> int:
    """The size beside the first bound that is not exceeded."""
    return next((size for bound, size in table if amount <= bound), largest)


def choose_text(draft: Draft, facts: DataFacts) -> None:
    """One byte-level vocabulary for both sides, the larger the more text there is to learn it from."""
    kind = draft.choose("text.target.kind", "bpe", "sentences; byte-level, so that nothing is unknown")
    size = vocabulary_for(JOINT_VOCABULARY, facts.examples, LARGEST_VOCABULARY)
    of = "both sides" if draft.get("text.source") is None else "the target"
    if kind in ("bpe", "unigram", "wordpiece"):
        draft.choose("text.target.vocab_size", size, f"for {of}, by the number of pairs, {facts.examples:,}")
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
