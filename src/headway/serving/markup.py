"""HTML whose text is read by a model while its tags stay: what to ask, and how the answers go back."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape, unescape
from itertools import pairwise

TAG = re.compile(
    r"<(?:!--.*?(?:-->|\Z)"
    r"|(?P<end>/?)(?P<name>[a-zA-Z][^\s/>]{0,50})(?:[^>\"']|\"[^\"]*\"|'[^']*'){0,500}>"
    r"|[!?][^>]{0,500}>)",
    re.DOTALL,
)
"""Bounded, so that no text makes it search for long; what does not fit is text."""
INLINE = re.compile(
    "a|abbr|b|bdi|bdo|cite|data|del|dfn|em|font|i|ins|label|mark|q|s|small|span|strong|sub|sup|time|u|var"
)
"""What stands within a sentence; every other tag ends one."""
EMPTY = ("img", "input", "wbr")
"""Inline too, with nothing inside."""
SILENT = ("code", "script", "style")
"""What is not for reading, its content included."""


@dataclass
class Part:
    """A text, or a tag with what is not to be read in it."""

    raw: str
    is_text: bool
    marked: bool = False
    """Whether it is a text within an inline element."""

    @property
    def plain(self) -> str:
        return " ".join(unescape(self.raw).split()) if self.is_text else ""

    @property
    def edges(self) -> tuple[str, str]:
        """The blanks before and behind."""
        before, after = len(self.raw) - len(self.raw.lstrip()), len(self.raw.rstrip())
        return self.raw[:before], self.raw[after:]


@dataclass
class Passage:
    """Texts with at most inline tags between them."""

    parts: list[Part] = field(default_factory=list)

    @property
    def read(self) -> list[Part]:
        """What of it is for reading."""
        return [part for part in self.parts if part.plain]

    @property
    def asks(self) -> list[str]:
        """What the model is to read: the whole, and where it has other parts each marked one."""
        whole = Part("".join(part.raw for part in self.parts if part.is_text), True).plain
        marked = [part.plain for part in self.read if part.marked]
        return [whole, *(marked if len(self.read) > 1 else [])] if whole else []

    def filled(self, outputs: Sequence[str]) -> str:
        """With the output for each of `asks`: that for the whole, and the tags in their places within."""
        if not outputs:
            return "".join(part.raw for part in self.parts)
        cuts, texts = self._cuts(outputs[0], outputs[1:]), [part for part in self.parts if part.is_text]
        shares = [outputs[0][start:stop] for start, stop in pairwise(cuts)]
        for number, (one, other) in enumerate(pairwise(self.read)):
            if not (one.marked or other.marked):  # something stands between them, with blanks or without
                shares[number] = shares[number].rstrip() + one.edges[1]
                shares[number + 1] = other.edges[0] + shares[number + 1].lstrip()
        following, blanks, written = iter(shares), "", list[str]()
        for part in self.parts:
            if not part.is_text:
                written.append(part.raw)
                continue
            text, blanks = blanks + (next(following) if part.plain else ""), ""
            if part.marked and not part.edges[1]:  # a blank behind marked words is for what follows
                text, blanks = text.rstrip(), text[len(text.rstrip()) :]
            before = part.edges[0] if part is texts[0] else ""
            after = part.edges[1] if part is texts[-1] else ""
            written.append(before + escape(text, quote=False) + after)
        return "".join(written)

    def _cuts(self, whole: str, marked: Sequence[str]) -> list[int]:
        """Where the share of each part that is read begins in the output, and the end of the last.

        Where all outputs for marked parts, or else these themselves, stand in it in their order, the tags go
        there; or else each part gets its share of the words.
        """
        read, words = self.read, [met.span() for met in re.finditer(r"\S+", whole)]
        met = self._met(whole, marked)
        total, before, cuts = sum(len(part.plain.split()) for part in read), 0, [0]
        for number, part in enumerate(read[1:], start=1):
            before += len(read[number - 1].plain.split())
            place = round(before * len(words) / total)
            # A tag that opens stands before its word, one that closes behind the word before.
            usual = words[place - 1][1] if place else 0
            if part.marked and place < len(words):
                usual = words[place][0]
            cuts.append(max(cuts[-1], met.get(number, usual)))
        return [*cuts, len(whole)]

    def _met(self, whole: str, marked: Sequence[str]) -> dict[int, int]:
        """The cuts around marked parts where all of these are met."""
        found: dict[int, int] = {}
        outputs, place = iter(marked), 0
        for number, part in enumerate(self.read):
            if not part.marked or not marked:
                continue
            texts = [text.strip(" .,;:") for text in (next(outputs), part.plain)]
            ways = [re.compile(rf"(?<!\w){re.escape(text)}(?!\w)", re.IGNORECASE) for text in texts if text]
            met = next((met for way in ways if (met := way.search(whole, place))), None)
            if met is None:
                return {}
            found[number], found[number + 1] = met.span()
            place = met.end()
        return found


def passages_of(page: str) -> list[Passage | str]:
    """The passages of a text with tags, and what stands between them, in order."""
    found: list[Passage | str] = []
    passage, depth = Passage(), 0
    for raw, name in _pieces(page):
        inline = name is not None and INLINE.fullmatch(name)
        if name is None or inline or name in (*EMPTY, *SILENT):
            passage.parts.append(Part(raw, name is None, depth > 0))
            if inline:
                depth = max(0, depth + (-1 if raw.startswith("</") else 1))
        else:
            found += [passage, raw]
            passage, depth = Passage(), 0
    return [*found, passage]


def _pieces(page: str) -> Iterator[tuple[str, str | None]]:
    """Texts, with no name, and tags with theirs; a silent element is one tag."""
    place = 0
    while met := TAG.search(page, place):
        name, end = (met["name"] or "!").lower(), met.end()
        if name in SILENT and not met["end"]:
            close = re.compile(rf"</{name}[^>]*>", re.IGNORECASE).search(page, end)
            end = len(page) if close is None else close.end()
        if met.start() > place:
            yield page[place : met.start()], None
        yield page[met.start() : end], name
        place = end
    if place < len(page):
        yield page[place:], None
