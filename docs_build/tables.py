"""Markdown out of docstrings and rows."""

import re
from collections.abc import Iterable, Sequence

CODE = re.compile(r"(`[^`]*`)")
SPECIAL = {each: f"\\{each}" for each in "*_[]"} | {"<": "&lt;", ">": "&gt;"}
"""How a sign is written that would mean something; a backslash before < would be shown."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; empty where there are no rows."""
    lines = [" | ".join(cell.replace("|", r"\|") for cell in row) for row in rows]
    if not lines:
        return ""
    return "\n".join(f"| {line} |" for line in (" | ".join(head), " | ".join("---" for _ in head), *lines))


def escaped(text: str) -> str:
    """Plain words as Markdown shows them; what stands between backticks is code already."""
    parts = CODE.split(text)
    parts[::2] = ["".join(SPECIAL.get(sign, sign) for sign in part) for part in parts[::2]]
    return "".join(parts)


def flowing(docstring: str | None) -> str:
    """A docstring's paragraphs, each on one line."""
    paragraphs = (docstring or "").strip().split("\n\n")
    return "\n\n".join(escaped(" ".join(part.split())) for part in paragraphs)
