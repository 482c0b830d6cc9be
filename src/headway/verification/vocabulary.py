"""Text to tokens and back."""

from collections.abc import Sequence

from headway.decoding.settings import SearchConfig
from headway.text.tokenizer import Tokenizer
from headway.verification.law import Law
from headway.verification.subject import Subject

SHOWN = 40
"""Characters of a text that a message quotes."""


def round_trips(subject: Subject) -> list[Law]:
    """One for each vocabulary; of an encoder-decoder's targets on what the model writes."""
    if subject.source is None:
        return [round_trip(subject.target, subject.lines, "tokenizer")]
    laws = [round_trip(subject.source, subject.lines, "source tokenizer")]
    if subject.source is not subject.target:
        greedy = subject.search(subject.prompts, SearchConfig(method="greedy"))
        written = [text for each in greedy if (text := each.text)]
        laws.append(round_trip(subject.target, written, "target tokenizer"))
    return laws


def round_trip(tokenizer: Tokenizer, texts: Sequence[str], name: str) -> Law:
    """decode(encode(text)) is the text in the form that the vocabulary states.

    A text of which something is unknown cannot come back, and is counted. A foreign vocabulary states no
    form, so that its share is told.
    """
    encoded = tokenizer.encode_batch(texts)
    unknown = tokenizer.special.unknown
    lost = sum(ids.count(unknown) for ids in encoded if unknown is not None)
    tokens = sum(map(len, encoded))
    known = [(text, ids) for text, ids in zip(texts, encoded, strict=True) if unknown not in ids]
    back = [(text, tokenizer.decode(ids)) for text, ids in known]
    same = sum(text == found for text, found in back)
    formed = [text for text, found in back if found == tokenizer.normalized(text)]
    wrong = next((text for text, found in back if found != tokenizer.normalized(text)), None)
    foreign = tokenizer.kind == "foreign"
    parts = [f"{same} of {len(known)} texts come back to the letter"]
    if len(formed) > same:
        parts.append(f"{len(formed) - same} in the form that the vocabulary states")
    if wrong is not None and not foreign:
        parts.append(f"not so {wrong[:SHOWN]!r}, which becomes {dict(back)[wrong][:SHOWN]!r}")
    parts.append(f"{lost:,} of {tokens:,} tokens ({lost / max(1, tokens):.2%}) are unknown")
    return Law(
        name=name,
        holds=None if foreign else wrong is None,
        found="; ".join(parts),
        figures={
            "texts": len(known),
            "identical": same,
            "stated": len(formed),
            "with_unknown": len(texts) - len(known),
            "unknown": lost,
            "tokens": tokens,
        },
    )
