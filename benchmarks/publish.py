"""Where figures go: JSON and a table in results/, and the same table in the page on speed."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from marks import put

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "speed.md"


def publish(
    name: str, title: str, content: Mapping[str, Any], lines: Sequence[str], folder: Path | None
) -> None:
    """Writes results/NAME.json, NAME.md and the place `<!-- table: NAME -->` of docs/speed.md.

    With a folder, only the two files, there: figures of a smoke run stand in no page.
    """
    place, text = folder or RESULTS, "\n".join(lines)
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    (place / f"{name}.md").write_text(f"# {title}\n\n{text}\n", "utf-8")
    if folder is None:
        put(PAGE, name, text)


def where(machine: Mapping[str, Any]) -> str:
    """The machine in one sentence."""
    return f"Machine: {machine['processor']}, {machine['cores']} cores, torch {machine['torch']}."
