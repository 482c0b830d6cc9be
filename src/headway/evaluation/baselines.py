"""What needs no model at all: the figures that a model must beat."""

import lzma
from collections.abc import Sequence

from headway.evaluation.bootstrap import ratio
from headway.evaluation.result import Measure


def copied_sources(sources: Sequence[str]) -> list[str]:
    """The source itself as the output: strong where both sides are one language."""
    return list(sources)


def compressed_bits_per_byte(texts: Sequence[str]) -> Measure:
    """What `xz -9` needs for the texts in one piece: a predictor that learns only from the text itself."""
    content = "".join(texts).encode()
    packed = len(lzma.compress(content, preset=9))
    return Measure(name="bits per byte", value=ratio(8 * packed, len(content)), lower_is_better=True)
