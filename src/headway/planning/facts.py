"""What is measured of training text, from all of it or from a sample: the figures that a plan rests on."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import eq
from statistics import fmean

from headway.data.corpus import DataConfig
from headway.decoding.settings import SearchConfig
from headway.planning.sample import Sample, sample_of

UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
"""Scripts that put no blanks between words, by how the names of their characters begin."""
MAX_EXTRA = SearchConfig.max_extra
AT_ONCE = 4096
"""Texts that are joined to be counted."""


@dataclass(frozen=True)
class Lengths:
    """How long the texts of one side are."""

    mean: float
    median: int
    most: int
    """95 of 100 are no longer."""
    longest: int

    def __str__(self) -> str:
        return f"{self.median:,} ({self.most:,}, {self.longest:,})"


@dataclass(frozen=True)
class Alphabet:
    """Which different units there are."""

    kinds: int
    once: int
    """Kinds that are seen a single time."""
    seen: int
    """Units in all."""


@dataclass(frozen=True)
class Side:
    """One side of pairs, or documents."""

    characters: Lengths
    words: Lengths
    """Symbols between blanks."""
    alphabet: Alphabet
    """Of characters."""
    vocabulary: Alphabet
    """Of symbols between blanks."""
    hangul: float
    """Share of characters that are Korean syllables."""
    unspaced: float
    """Share of characters of scripts without blanks between words."""


@dataclass(frozen=True)
class DataFacts:
    """What is known of training text."""

    pairs: bool
    layout: str
    examples: int
    distinct: int
    """Different examples among those that were read."""
    read: int
    """How many examples were read; fewer than `examples` where that is an estimate."""
    source: Side | None
    target: Side
    copies: float
    """Share of pairs whose target is their source."""
    ambiguous: float
    """Share of different sources that stand beside several targets."""
    targets: int
    """Different targets among those that were read."""
    shared: float
    """Share of the targets' characters that are of kinds which the sources have."""
    shared_words: float
    """The same of symbols between blanks."""
    steepest: tuple[float, float]
    """What a target has beyond 50 characters (or words), as a multiple of its source's; of the steepest
    pair."""
    distinct_text: int
    """Characters of all different lines."""
    held_out: int
    """Examples of the validation files; 0 = there are none."""

    @property
    def estimated(self) -> bool:
        return self.read < self.examples

    @property
    def sides(self) -> tuple[Side, ...]:
        return (self.target,) if self.source is None else (self.source, self.target)

    @property
    def duplicates(self) -> float:
        """Share of examples that stand there again."""
        return 1 - self.distinct / self.read

    @property
    def characters(self) -> int:
        """Characters of the longer side of all examples, about."""
        return round(max(side.characters.mean for side in self.sides) * self.examples)


def measure(data: DataConfig, pairs: bool) -> DataFacts:
    """The facts of the training files; of validation files no more than how many examples they hold."""
    held_out = 0
    if data.valid:
        valid = sample_of(DataConfig(**{**vars(data), "train": data.valid, "valid": ()}), pairs)
        held_out = round(len(valid.records) / valid.share)
    return facts_of(sample_of(data, pairs), pairs, held_out)


def facts_of(sample: Sample, pairs: bool, held_out: int = 0) -> DataFacts:
    """The facts of a sample; how many examples there are in all follows from its share."""
    records = sample.records
    sources = _Texts([record.source or "" for record in records] if pairs else [])
    targets = _Texts([record.target for record in records])
    partners: dict[str, set[str]] = {}
    for one, other in zip(sources.texts, targets.texts, strict=False):
        partners.setdefault(one, set()).add(other)
    several = sum(len(each) > 1 for each in partners.values())
    distinct = set(targets.texts)
    return DataFacts(
        pairs=pairs,
        layout=sample.layout,
        examples=max(len(records), round(len(records) / sample.share)),
        distinct=sum(map(len, partners.values())) if pairs else len(distinct),
        read=len(records),
        source=sources.side() if pairs else None,
        target=targets.side(),
        copies=fmean(map(eq, sources.texts, targets.texts)) if pairs else 0.0,
        ambiguous=several / max(1, len(partners)),
        targets=len(distinct),
        shared=_shared(sources.characters, targets.characters),
        shared_words=_shared(sources.words, targets.words),
        steepest=(_steepest(sources.lengths, targets.lengths), _steepest(sources.counts, targets.counts)),
        distinct_text=sum(map(len, {line for text in distinct for line in text.splitlines()})),
        held_out=held_out,
    )


class _Texts:
    """All texts of one side, counted once."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.lengths = texts, list(map(len, texts))
        self.counts = list[int]()
        self.characters, self.words = Counter[str](), Counter[str]()
        for start in range(0, len(texts), AT_ONCE):
            some = texts[start : start + AT_ONCE]
            self.characters.update("".join(some))
            words = [text.split() for text in some]
            self.counts += map(len, words)
            self.words.update(chain.from_iterable(words))

    def side(self) -> Side:
        """What they are like."""
        characters = self.characters
        total = max(1, characters.total())
        return Side(
            characters=lengths_of(self.lengths),
            words=lengths_of(self.counts),
            alphabet=_alphabet(characters),
            vocabulary=_alphabet(self.words),
            hangul=sum(n for sign, n in characters.items() if "가" <= sign <= "힣") / total,
            unspaced=sum(n for sign, n in characters.items() if _is_unspaced(sign)) / total,
        )


def _steepest(sources: Sequence[int], targets: Sequence[int]) -> float:
    ratios = ((b - MAX_EXTRA) / max(1, a) for a, b in zip(sources, targets, strict=False) if b > MAX_EXTRA)
    return max([0.0, *ratios])


def _alphabet(counts: "Counter[str]") -> Alphabet:
    return Alphabet(len(counts), sum(n == 1 for n in counts.values()), counts.total())


def lengths_of(lengths: Sequence[int]) -> Lengths:
    """Mean, median, 95th percentile and largest of some lengths."""
    ordered = sorted(lengths)
    last = len(ordered) - 1
    return Lengths(fmean(ordered), ordered[last // 2], ordered[last * 95 // 100], ordered[last])


def _is_unspaced(sign: str) -> bool:
    return sign > "\u0dff" and unicodedata.name(sign, "").startswith(UNSPACED)


def _shared(left: "Counter[str]", right: "Counter[str]") -> float:
    """Share of the right side's units, blanks left out, that are of kinds which the left one has."""
    both = {sign for sign in left.keys() & right.keys() if not sign.isspace()}
    total = sum(n for sign, n in right.items() if not sign.isspace())
    return sum(right[sign] for sign in both) / total if left and total else 0.0
