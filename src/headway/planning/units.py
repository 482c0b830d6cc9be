"""How many tokens texts become by the vocabulary that is chosen for them, before there is one."""

import math
from dataclasses import dataclass

from headway.planning.draft import Draft
from headway.planning.facts import DataFacts, Lengths, Side
from headway.text.special import OURS

SPECIAL = 1 + (OURS.mask or 0)
"""Special tokens of every vocabulary."""
SYLLABLE = 2.4
"""Letters of a Korean syllable, about."""
BPE_GAIN = 1.8
"""By how many characters a byte-level token grows when its vocabulary grows tenfold, in alphabets."""
BYTES = 260
UNSPACED_TOKEN = 1.4
"""Characters of a token in scripts without blanks between words."""


@dataclass(frozen=True)
class Units:
    """The texts in tokens, about; a language model has no source."""

    source: Lengths | None
    target: Lengths
    source_vocabulary: int | None
    """None = there is one joint vocabulary."""
    vocabulary: int

    @property
    def longer(self) -> float:
        """Mean length of the longer side, its end included."""
        return 1 + max(self.target.mean, self.source.mean if self.source else 0)

    @property
    def longest(self) -> int:
        return 1 + max(self.target.longest, self.source.longest if self.source else 0)


def units_of(draft: Draft, facts: DataFacts) -> Units:
    """What the vocabularies of the draft make of the text."""
    own = draft.get("text.source") is not None
    target = _tokens(facts.target, draft, "target")
    size = _vocabulary(facts.sides if not own else (facts.target,), draft, "target")
    if facts.source is None:
        return Units(None, target, None, size)
    side = "source" if own else "target"
    source_size = _vocabulary((facts.source,), draft, "source") if own else None
    return Units(_tokens(facts.source, draft, side), target, source_size, size)


def _tokens(side: Side, draft: Draft, name: str) -> Lengths:
    kind = draft.get(f"text.{name}.kind", "bpe")
    if kind in ("symbols", "words"):
        return side.words
    per_token = 1.0
    if kind == "characters":
        if draft.get(f"text.{name}.normalize") in ("nfd", "nfkd", "letters"):
            per_token = 1 / (1 + (SYLLABLE - 1) * side.hangul)
    else:
        size = draft.get(f"text.{name}.vocab_size", 8000)
        spaced = 1 + BPE_GAIN * math.log10(max(size, BYTES) / BYTES)
        per_token = 1 / (side.unspaced / UNSPACED_TOKEN + (1 - side.unspaced) / spaced)
    lengths = side.characters
    return Lengths(
        lengths.mean / per_token,
        round(lengths.median / per_token),
        round(lengths.most / per_token),
        round(lengths.longest / per_token),
    )


def _vocabulary(sides: tuple[Side, ...], draft: Draft, name: str) -> int:
    """Tokens of a vocabulary: as many as there are kinds, or as the recipe allows."""
    kind, bound = draft.get(f"text.{name}.kind", "bpe"), draft.get(f"text.{name}.vocab_size", 8000)
    if kind == "characters":
        return min(int(bound), SPECIAL + sum(side.alphabet.kinds for side in sides))
    if kind in ("symbols", "words"):
        return min(int(bound), SPECIAL + sum(side.vocabulary.kinds for side in sides))
    return int(bound)
