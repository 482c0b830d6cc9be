"""`headway demo`: data, training and figures of a complete example."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from headway.errors import UserError

Name = Literal["pronounce", "fill", "complete", "simplify"]


def demo(
    name: Annotated[
        Name,
        typer.Argument(
            help="pronounce: English words to phonemes. fill: blanks in plain English. complete: Python. "
            "simplify: the English of 1611 to plain English."
        ),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE…]", help="What to change in the recipe, as in model.d_model=256."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="How long to train; default: as the recipe says, 3.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The run folder; default: runs/demo-NAME. If it is there, go on in it."
        ),
    ] = None,
) -> None:
    """Train a model on real text in minutes, and see how good it is on text that it has not seen.

    The text comes with packages (pip install 'headway[demo]') or with Python; its files are put beside the
    run folder, in demo-NAME-data. The recipe is the built-in demo-NAME.
    """
    overrides = list(changes or [])
    for change in overrides:
        if "=" not in change:
            raise UserError(f"{change!r}: write KEY=VALUE, as in model.d_model=256")
    if minutes is not None:
        overrides.append(f"stop.minutes={minutes}")
    from rich.console import Console

    from headway.demos.run import DEMOS, run_demo
    from headway.run import say_on_stderr

    outcome = run_demo(DEMOS[name], overrides, out, say_on_stderr, Console())
    if outcome.exit_status:
        folder = outcome.folder.path
        say_on_stderr(f"{outcome.reason}. Go on with: headway demo {name} --out {folder}")
        raise typer.Exit(outcome.exit_status)
