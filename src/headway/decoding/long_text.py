"""Text too long for a model: split at line ends, sentence ends, blanks, then anywhere; nothing is lost."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

LINE = re.compile(r"[^\r\n]+")
SENTENCE_END = re.compile(r"""(?<=[.!?…])(["'”’»)\]]*)\s+|(?<=[。！？｡])(["'”’」』）]*)\s*""")
BLANK = re.compile(r"()\s+")

Span = tuple[int, int]


@dataclass(frozen=True)
class Pieces:
    """A text as parts and the blanks and line breaks around them: gap, part, gap, part, …, gap."""

    parts: list[str]
    gaps: list[str]

    def join(self, outputs: Sequence[str]) -> str:
        """One text of an output for each part, with the gaps of the original."""
        assert len(outputs) == len(self.parts)
        return self.gaps[0] + "".join(out + gap for out, gap in zip(outputs, self.gaps[1:], strict=True))


def split_text(text: str, fits: Callable[[str], bool]) -> Pieces:
    """Pieces that fit: every line apart, of a line that does not fit as many sentences as do, and so on.

    A single character is a piece even where it does not fit.
    """
    spans = [
        span for line in LINE.finditer(text) for span in _narrow(text, _strip(text, *line.span()), fits, 0)
    ]
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    gaps = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    return Pieces([text[start:end] for start, end in spans], gaps)


def longest_end(text: str, fits: Callable[[str], bool]) -> str:
    """As much of the text's end as fits, nothing where no character does."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(text[middle:]) else (middle + 1, high)
    return text[low:]


def _strip(text: str, start: int, end: int) -> Span:
    """The span without blanks at its ends."""
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), max(start, start + len(inner.rstrip()))


def _narrow(text: str, span: Span, fits: Callable[[str], bool], level: int) -> Iterator[Span]:
    """Spans that fit, cut at the boundaries of this level and, where that is not enough, of the next."""
    start, end = span
    if start >= end:
        return
    if fits(text[start:end]):
        yield span
    elif level == len(_LEVELS):
        yield from _cut_anywhere(text, span, fits)
    else:
        units = list(_units(text, span, _LEVELS[level]))
        first, last = units[0]
        for unit_start, unit_end in units[1:]:
            if fits(text[first:unit_end]):
                last = unit_end
            else:
                yield from _narrow(text, (first, last), fits, level + 1)
                first, last = unit_start, unit_end
        yield from _narrow(text, (first, last), fits, level + 1)


_LEVELS = (SENTENCE_END, BLANK)


def _units(text: str, span: Span, boundary: re.Pattern[str]) -> Iterator[Span]:
    """What stands between the boundaries; their first group still belongs to the unit before them."""
    start, end = span
    for match in boundary.finditer(text, start, end):
        if match.end() < end:
            yield start, match.start() + len(match.group(match.lastindex or 0))
            start = match.end()
    yield start, end


def _cut_anywhere(text: str, span: Span, fits: Callable[[str], bool]) -> Iterator[Span]:
    start, end = span
    while start < end:
        low, high = 1, end - start
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(text[start : start + middle]) else (low, middle - 1)
        yield start, start + low
        start += low
