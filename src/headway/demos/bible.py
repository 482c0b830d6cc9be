"""Bibles verse by verse, from the packages `pythonbible-…`, whose modules are parsed and never run."""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from headway.demos.installed import installed_text
from headway.errors import DataError

_MARKED = re.compile(r"\s*\\(\d+):(\d+)\\")


class Verse(NamedTuple):
    """One verse. Numbers are book · 1,000,000 + chapter · 1,000 + verse."""

    number: int
    """As this Bible counts."""
    common: int
    """As the King James Version counts, which a mark tells where it differs."""
    text: str
    """Empty where this Bible leaves the verse out."""


class Alignment(NamedTuple):
    """Verses of two Bibles side by side, by chapter, and how many found no partner, by reason."""

    chapters: dict[int, list[tuple[str, str]]]
    left_out: dict[str, int]


def installed_bible(package: str) -> list[Verse]:
    """The Bible in a package, in plain text without verse numbers."""
    path = f"{package.replace('-', '_')}/plain_text_readers_bible.py"
    return read_verses(installed_text(package, path), path)


def read_verses(source: str, place: str) -> list[Verse]:
    """The verses in a module that calls `Bible(version, text, {number: start}, {number: end}, …)`.

    Raises DataError, naming `place`, where the module is made otherwise.
    """
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    call = next((each for each in calls if ast.unparse(each.func) == "Bible"), None)
    try:
        assert call is not None
        text, starts, ends = (ast.literal_eval(each) for each in call.args[1:4])
        # Positions are those of the text as the module spells it, where a backslash takes two characters.
        spelled = text.replace("\\", "\\\\")
        pieces = {number: spelled[start : ends[number]] for number, start in starts.items()}
        fits = max(ends.values()) == len(spelled)
    except (AssertionError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise DataError(
            "is no module with Bible(version, text, {number: start}, {number: end})", place
        ) from error
    if not fits:
        raise DataError("the positions of verses do not fit the text", place)
    return [_verse(number, piece.replace("\\\\", "\\")) for number, piece in sorted(pieces.items())]


def _verse(number: int, piece: str) -> Verse:
    mark = _MARKED.match(piece)
    common = number if mark is None else number // 10**6 * 10**6 + int(mark[1]) * 1000 + int(mark[2])
    return Verse(number, common, tidied(piece[mark.end() :] if mark else piece))


def tidied(text: str) -> str:
    """Running text: no brackets around supplied words, no marks of gaps and notes, blanks in order.

    Empty where there is no word at all.
    """
    text = re.sub(r"[\[\]\\*+]", "", text.replace("’", "'"))
    text = " ".join(text.split()).replace("( ", "(")
    return text if re.search(r"[^\W\d_]", text) else ""


def chapters(verses: Iterable[Verse]) -> dict[int, list[str]]:
    """The texts of each chapter's verses, under number // 1,000."""
    found: dict[int, list[str]] = {}
    for verse in verses:
        if verse.text:
            found.setdefault(verse.number // 1000, []).append(verse.text)
    return found


def aligned(first: Sequence[Verse], second: Sequence[Verse]) -> Alignment:
    """Verses with the same common number, where it is certain that they say the same.

    That is where both count the chapter alike (else all after a difference may be shifted), where no verse is
    split in two, and where neither leaves it out.
    """
    ours, theirs = _by_common_number(first), _by_common_number(second)
    counted, also_counted = _counted(ours), _counted(theirs)
    found = Alignment({}, {})
    for number, (text, *more) in ours.items():
        chapter = number // 1000
        partners = theirs.get(number, [])
        if counted[chapter] != also_counted.get(chapter):
            reason = "in chapters that the two count differently"
        elif more or len(partners) > 1:
            reason = "split in two verses"
        elif not text or not partners[0]:
            reason = "left out in one of the two"
        else:
            found.chapters.setdefault(chapter, []).append((text, partners[0]))
            continue
        found.left_out[reason] = found.left_out.get(reason, 0) + 1
    return found


def _by_common_number(verses: Iterable[Verse]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for verse in verses:
        found.setdefault(verse.common, []).append(verse.text)
    return found


def _counted(verses: Mapping[int, object]) -> dict[int, set[int]]:
    """The verses that each chapter has."""
    found: dict[int, set[int]] = {}
    for number in verses:
        found.setdefault(number // 1000, set()).add(number)
    return found
