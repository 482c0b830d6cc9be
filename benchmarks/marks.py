"""Tables of figures, put into pages between marks."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[int] = ()) -> str:
    """A table; the columns numbered in `right`, from 0, stand to the right."""
    rule = ["---:" if column in right else "---" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (header, rule, *rows))


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands in the page between `<!-- table: NAME -->` and `<!-- /table -->`."""
    before = page.read_text("utf-8")
    marks = re.compile(rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- /table -->)", re.DOTALL)
    after, count = marks.subn(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", before)
    assert count == 1, f"{page} has {count} places for a table named {name}"
    if after != before:
        page.write_text(after, "utf-8")
