"""Whether text comes back from its tokens, and what the vocabularies do not know."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from headway.data.corpus import DataConfig, Record, read_records
from headway.data.prepare import Prepared
from headway.data.token_file import TokenFile
from headway.preflight.finding import Finding, Level
from headway.text.tokenizer import Tokenizer, Tokenizers
from headway.verification.vocabulary import SHOWN, round_trip

CHECK = "tokens"

READ, READ_CHARACTERS = 100_000, 2**25
"""Examples and characters that are read at most; a sample is drawn from them."""

SAMPLE, LONGEST = 2_000, 1_000
"""Examples of training, and of held-out text, that are tried; longer ones are tried in pieces."""

RARE = 0.01
"""Share of lines that may hold something unknown."""

MEANINGLESS = 0.5
"""Share of unknown tokens with which nothing can be learned."""

COMMONEST = 5


@dataclass
class Sample:
    """Some examples, each with the same chance, of as many as come."""

    kept: list[Record] = field(default_factory=list)
    seen: int = 0
    draw: random.Random = field(default_factory=lambda: random.Random(0))

    def add_pieces(self, record: Record) -> None:
        """A text in pieces, or the beginning of a pair."""
        source = None if record.source is None else record.source[:LONGEST]
        for start in range(0, len(record.target) if source is None else 1, LONGEST):
            self._add(record._replace(source=source, target=record.target[start : start + LONGEST]))

    def _add(self, record: Record) -> None:
        self.seen += 1
        place = len(self.kept) if len(self.kept) < SAMPLE else self.draw.randrange(self.seen)
        if place < SAMPLE:
            self.kept[place : place + 1] = [record]


def check_text(data: DataConfig, prepared: Prepared) -> Finding:
    """decode(encode(x)) is x in the form that the vocabulary states, and little of it is unknown."""
    training, held_out = sampled(data, prepared)
    source, target = prepared.tokenizers
    sides: list[tuple[str, Tokenizer, bool]] = [("target" if source else "text", target, False)]
    if source is not None:
        sides.append(("source", source, True))
    found: list[tuple[Level, str, str]] = []
    for what, records in (("training", training), ("held-out", held_out)):
        for side, tokenizer, of_source in sides:
            found += _of_side(f"{what} {side}", tokenizer, records, of_source)
    if not found:
        message = f"{len(training):,} texts and {len(held_out):,} held out come back, and are known"
        return Finding(check=CHECK, level="ok", message=message)
    level: Level = "fault" if any(each[0] == "fault" for each in found) else "warning"
    messages, remedies = ([each[part] for each in found] for part in (1, 2))
    return Finding(
        check=CHECK, level=level, message="; ".join(messages), remedy="; ".join(dict.fromkeys(remedies))
    )


def sampled(data: DataConfig, prepared: Prepared) -> tuple[list[Record], list[Record]]:
    """Examples of training and of held-out text, from the beginning of large files."""
    pairs = prepared.tokenizers.source is not None
    training, held_out = Sample(), Sample()
    if data.valid:
        for record in _read(data, data.valid, pairs):
            held_out.add_pieces(record)
    is_held_out = _HeldOut(prepared.valid, prepared.tokenizers)
    for record in _read(data, data.train, pairs):
        held = not data.valid and record in is_held_out
        (held_out if held else training).add_pieces(record)
    return training.kept, held_out.kept


class _HeldOut:
    """The examples that were held out from the training files, known by their lines and tokens."""

    def __init__(self, valid: TokenFile, tokenizers: Tokenizers) -> None:
        self.valid, self.target = valid, tokenizers.target
        self.places: dict[int, list[int]] = {}
        for index, line in enumerate(valid.lines.tolist()):
            self.places.setdefault(line, []).append(index)

    def __contains__(self, record: Record) -> bool:
        places = self.places.get(record.line)  # of several files some have the same
        if not places:
            return False
        ids = self.target.encode(record.target)
        return any(self.valid.ids(place).tolist() == ids for place in places)


def _read(data: DataConfig, paths: Sequence[str], pairs: bool) -> Iterator[Record]:
    characters = 0
    for record in islice(read_records(data, paths, pairs), READ):
        yield record
        characters += len(record.target) + len(record.source or "")
        if characters > READ_CHARACTERS:
            return


def _of_side(
    what: str, tokenizer: Tokenizer, records: Sequence[Record], of_source: bool
) -> Iterator[tuple[Level, str, str]]:
    """What is wrong with one side of some examples: how bad, what, and what to do."""
    texts = [(record.source or "") if of_source else record.target for record in records]
    law = round_trip(tokenizer, texts, what)
    figures = {name: int(value) for name, value in law.figures.items()}
    lost = figures["texts"] - figures["stated"]
    if lost and law.holds is False:
        place, text, back = _first_lost(tokenizer, records, texts)
        yield (
            "warning",
            f"{lost / len(texts):.1%} of {len(texts):,} {what}s do not come back from their tokens, "
            f"first {place}: {text[:SHOWN]!r} becomes {back[:SHOWN]!r}",
            "choose another kind of tokenizer, such as text.target.kind = 'bpe', which keeps every character",
        )
    unknown = figures["unknown"] / max(1, figures["tokens"])
    if figures["with_unknown"] > RARE * len(texts):
        parts = Counter(part for text in texts for part in _unknown_in(tokenizer, text))
        listed = ", ".join(f"{part[:SHOWN]!r} ({count:,})" for part, count in parts.most_common(COMMONEST))
        meaningless = unknown > MEANINGLESS and what.startswith("training")
        yield (
            "fault" if meaningless else "warning",
            f"{figures['with_unknown'] / len(texts):.1%} of {len(texts):,} {what}s hold what the "
            f"vocabulary does not know ({unknown:.2%} of their tokens), most often {listed}",
            "raise vocab_size, lower min_count, or choose the kind 'bpe', to which nothing is unknown"
            if what.startswith("training")
            else "hold out text like that of training, or choose the kind 'bpe', to which nothing is unknown",
        )


def _unknown_in(tokenizer: Tokenizer, text: str) -> list[str]:
    return tokenizer.unknown_in(text) if tokenizer.special.unknown in tokenizer.encode(text) else []


def _first_lost(
    tokenizer: Tokenizer, records: Sequence[Record], texts: Sequence[str]
) -> tuple[str, str, str]:
    """The place, the text and what it becomes, of the first that does not come back though it is known."""
    for record, text in zip(records, texts, strict=True):
        ids = tokenizer.encode(text)
        back = tokenizer.decode(ids)
        if tokenizer.special.unknown not in ids and back != tokenizer.normalized(text):
            return f"{record.file}, line {record.line}", text, back
    raise AssertionError("one of them does not come back")
