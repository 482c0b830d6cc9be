"""How measures are asked for, and where their figures go: results/, and a table in the page on speed."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from marks import put

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "speed.md"


def parser_of(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """What all measures are asked: which text, how often, and whether it is only tried out."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a folder with text")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--quick", action="store_true", help="a smoke run at tiny sizes; needs --out")
    parser.add_argument("--out", type=Path, help="a folder for the figures, which go into no page then")
    return parser


def parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What was typed; figures of a smoke run need a place of their own."""
    options = parser.parse_args(arguments)
    if options.quick and not options.out:
        parser.error("--quick needs --out: its figures say nothing")
    return options


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
