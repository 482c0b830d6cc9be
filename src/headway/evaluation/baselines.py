"""What needs no model at all: the figures that a model must beat."""

import lzma
from collections import Counter
from collections.abc import Iterable, Sequence

from headway.evaluation.bootstrap import ratio
from headway.evaluation.result import Measure


def copied_sources(sources: Sequence[str]) -> list[str]:
    """The source itself as the output: strong where both sides are one language."""
    return list(sources)


def majority_output(training_targets: Iterable[str]) -> str:
    """The commonest target of the training part; of equally common ones the first."""
    counts = Counter(training_targets).most_common(1)
    assert counts, "there is no training target"
    return counts[0][0]


def compressed_bits_per_byte(texts: Sequence[str]) -> Measure:
    """What `xz -9` needs for the texts in one piece: a predictor that learns only from the text itself."""
    content = "".join(texts).encode()
    packed = len(lzma.compress(content, preset=9))
    return Measure(name="bits per byte", value=ratio(8 * packed, len(content)), lower_is_better=True)
