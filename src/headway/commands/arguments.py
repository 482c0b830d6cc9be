"""What several verbs take: things, then KEY=VALUE, and the options of all that begins a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from headway.errors import UserError

Objective = Annotated[
    Literal["pairs", "causal", "masked"] | None,
    typer.Option(help="For data files: what to learn. Default: pairs from pairs, causal from plain text."),
]
StartFrom = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FOLDER",
        help="A model or run folder whose model is trained further, with its shape and vocabulary.",
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(help="For data files: minutes of training. Default: until it stops improving."),
]
Size = Annotated[
    str | None,
    typer.Option(
        help="For data files: tiny, small, medium, large, base or big. Default: by the data and the time."
    ),
]


def split_overrides(arguments: Sequence[str], needed: str) -> tuple[list[str], list[str]]:
    """The things named, and the KEY=VALUE among them. Raises UserError with `needed` if nothing is named."""
    overrides = [each for each in arguments if "=" in each and not Path(each).exists()]
    things = [each for each in arguments if each not in overrides]
    if not things:
        raise UserError(needed)
    return things, overrides
