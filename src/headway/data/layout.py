"""How text lies in its files, as told or found out from suffix and content."""

import json
from collections.abc import Sequence
from itertools import islice
from typing import Literal

from headway.data.input_files import InputFile, input_files, read_lines
from headway.errors import DataError, RecipeError

Layout = Literal["auto", "pairs", "parallel", "jsonl", "lines", "documents", "file"]

OF_PAIRS: tuple[Layout, ...] = ("pairs", "parallel", "jsonl")
OF_DOCUMENTS: tuple[Layout, ...] = ("lines", "documents", "file", "jsonl")

_SEEN_LINES = 500
_LONGEST_SEEN = 1 << 16


def decide_layout(asked: Layout, paths: Sequence[str], pairs: bool) -> tuple[Layout, str]:
    """The layout, and the reason why it was decided so ("" if it was asked for).

    By suffix, .jsonl and .ndjson, or by a first line that is a JSON object: jsonl. Pairs: a tab in most lines
    means pairs; two files without, parallel. Documents: a blank line between others means documents, else
    lines. All files are of one layout; where some hold blank lines and others none, it is documents.
    """
    allowed = OF_PAIRS if pairs else OF_DOCUMENTS
    if asked != "auto":
        if asked not in allowed:
            kind = "pairs of source and target" if pairs else "text without pairs"
            raise RecipeError(f"layout = {asked!r} does not hold {kind}; choose from: {', '.join(allowed)}")
        return asked, ""
    found: dict[Layout, str] = {}
    for file in input_files(paths):
        layout, reason = _look(file, pairs)
        if layout is not None:
            found.setdefault(layout, f"decided by {reason} {file.name}")
    if not found:
        raise DataError("there is no text: the file is empty", ", ".join(paths))
    if set(found) == {"lines", "documents"}:
        return "documents", found["documents"]
    if len(found) > 1:
        kinds = "; ".join(f"{layout} {reason}" for layout, reason in found.items())
        raise DataError(f"the files are not of one layout ({kinds}); say which with layout = …")
    layout, reason = next(iter(found.items()))
    if layout == "parallel" and len(paths) % 2:
        raise DataError(
            "missing tab: a pair is source TAB target, and two files without tabs are parallel ones",
            input_files(paths[-1:])[0].name,
            1,
        )
    return layout, reason


def holds_pairs(paths: Sequence[str], source_field: str = "source", target_field: str = "target") -> bool:
    """Whether files of unknown kind are pairs: tabs in most lines, or JSON objects with both fields."""
    for file in input_files(paths):
        layout, _ = _look(file, pairs=True)
        if layout == "jsonl":
            first = next((line.text for line in read_lines(file, _LONGEST_SEEN) if line.text.strip()), "")
            return _is_object(first) and {source_field, target_field} <= json.loads(first).keys()
        if layout is not None:
            return layout == "pairs"
    return False


def _look(file: InputFile, pairs: bool) -> tuple[Layout | None, str]:
    """The layout of one file and what shows it; None if the file is empty."""
    if file.suffix in (".jsonl", ".ndjson"):
        return "jsonl", "the suffix of"
    seen = list(islice(read_lines(file, _LONGEST_SEEN), _SEEN_LINES))
    filled = [index for index, line in enumerate(seen) if line.fault or line.text.strip()]
    texts = [seen[index].text for index in filled if not seen[index].fault]
    if not filled:
        return None, ""
    if not texts:
        return ("pairs" if pairs else "lines"), "nothing readable in"
    if _is_object(texts[0]):
        return "jsonl", "the first line of"
    if pairs:
        with_tab = sum("\t" in text for text in texts)
        most = 2 * with_tab >= len(texts)
        return ("pairs", "the tabs in") if most else ("parallel", "the lack of tabs in")
    between = len(filled) < filled[-1] - filled[0] + 1
    return ("documents", "blank lines in") if between else ("lines", "the lack of blank lines in")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
