"""Right or wrong, and how far off: exact match and edit distance. Axis: N examples.

Every example may have several references: it is right if it equals any of them, and its errors are counted
against the nearest.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Int

from headway.evaluation.bootstrap import Counts, interval, paired_difference, ratio
from headway.evaluation.result import Comparison, Measure

References = Sequence[Sequence[str]]
"""One or more right outputs for each example."""

Unit = Literal["words", "characters"]
"""What an edit changes: what stands between blanks (words, symbols, phonemes), or a character."""


def exact_match(outputs: Sequence[str], references: References) -> Measure:
    """The share of outputs that equal a reference, blanks at the ends aside."""
    return _share("exact match", _right(outputs, references), np.ones(len(outputs), dtype=np.int64))


def wrong_outputs(outputs: Sequence[str], references: References, name: str = "word error rate") -> Measure:
    """The share of outputs that equal no reference: the word error rate where every output is one word's."""
    right = _right(outputs, references)
    return _share(name, 1 - right, np.ones(len(outputs), dtype=np.int64), lower_is_better=True)


def edit_error_rate(outputs: Sequence[str], references: References, unit: Unit, name: str) -> Measure:
    """Insertions, deletions and substitutions for each unit of the nearest references; may pass 100 %."""
    errors, lengths = nearest_errors(outputs, references, unit)
    return _share(name, errors, lengths, lower_is_better=True)


def compare_exact_match(first: Sequence[str], second: Sequence[str], references: References) -> Comparison:
    """Two systems' exact match on the same examples."""
    ones = np.ones(len(first), dtype=np.int64)
    return _compared("exact match", _right(first, references), _right(second, references), ones, ones)


def compare_wrong_outputs(
    first: Sequence[str], second: Sequence[str], references: References, name: str = "word error rate"
) -> Comparison:
    """Two systems' share of outputs that equal no reference."""
    ones = np.ones(len(first), dtype=np.int64)
    return _compared(name, 1 - _right(first, references), 1 - _right(second, references), ones, ones)


def compare_edit_error_rate(
    first: Sequence[str], second: Sequence[str], references: References, unit: Unit, name: str
) -> Comparison:
    """Two systems' edit error rate on the same examples."""
    (a, lengths_a), (b, lengths_b) = (nearest_errors(each, references, unit) for each in (first, second))
    return _compared(name, a, b, lengths_a, lengths_b)


def _compared(name: str, a: Counts, b: Counts, wholes_a: Counts, wholes_b: Counts) -> Comparison:
    """Two shares in per cent."""
    found = paired_difference(a, b, wholes_a, wholes_b)
    return Comparison(
        name=name,
        first=100 * ratio(a.sum(), wholes_a.sum()),
        second=100 * ratio(b.sum(), wholes_b.sum()),
        p_value=found.p_value,
        low=100 * found.low,
        high=100 * found.high,
    )


def nearest_errors(
    outputs: Sequence[str], references: References, unit: Unit
) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """Each output's edits to the nearest reference (of equally near, the longest), and that one's length."""
    found = []
    for output, right in _paired(outputs, references):
        parts = _parts(output, unit)
        candidates = [_parts(reference, unit) for reference in right]
        found.append(min((edit_distance(parts, each), -len(each)) for each in candidates))
    table = np.array(found, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], -table[:, 1]


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """The fewest insertions, deletions and substitutions that turn one into the other (Levenshtein 1966)."""
    if first == second:
        return 0
    number: dict[str, int] = {}
    a, b = ([number.setdefault(part, len(number)) for part in parts] for parts in (first, second))
    columns, across = np.arange(len(b) + 1), np.array(b, dtype=np.int64)
    row = columns
    for index, part in enumerate(a, start=1):
        changed = np.minimum(row[1:] + 1, row[:-1] + (across != part))
        best = np.concatenate(([index], changed))
        # An insertion costs 1 a column: the least of all that lie to the left, each column farther one more.
        row = np.minimum.accumulate(best - columns) + columns
    return int(row[-1])


def _parts(text: str, unit: Unit) -> Sequence[str]:
    return text.split() if unit == "words" else list(text.strip())


def _paired(outputs: Sequence[str], references: References) -> Sequence[tuple[str, Sequence[str]]]:
    assert all(references), "an example without a reference cannot be judged"
    return list(zip(outputs, references, strict=True))


def _right(outputs: Sequence[str], references: References) -> Int[np.ndarray, "N"]:
    """1 where the output equals a reference, else 0."""
    pairs = _paired(outputs, references)
    right = [output.strip() in {each.strip() for each in several} for output, several in pairs]
    return np.array(right, dtype=np.int64)


def _share(name: str, parts: Counts, wholes: Counts, lower_is_better: bool = False) -> Measure:
    """A share in per cent with its interval."""
    low, high = interval(parts, wholes)
    return Measure(
        name=name,
        value=100 * ratio(parts.sum(), wholes.sum()),
        low=100 * low,
        high=100 * high,
        unit="%",
        lower_is_better=lower_is_better,
    )
