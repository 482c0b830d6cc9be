"""`headway inspect`: what a model, a run or a recipe is, before or after training."""

from pathlib import Path
from typing import Annotated

import typer

from headway.commands.arguments import split_overrides


def inspect(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|RUN|RECIPE [KEY=VALUE…]", help="A folder, a .toml file or a recipe's name."
        ),
    ],
) -> None:
    """Show a model's or recipe's shape, parameters by part, vocabulary, data and metrics."""
    (thing, *_), overrides = split_overrides(arguments, "name a model or run folder, or a recipe")
    from rich.console import Console

    from headway import overview
    from headway.run_folder import RunFolder

    path, console = Path(thing), Console()
    if RunFolder(path).exists and not RunFolder(path).is_finished:
        parts = overview.of_recipe(str(RunFolder(path).recipe), overrides)
    elif path.is_dir():
        parts = overview.of_model(path)
    else:
        parts = overview.of_recipe(thing, overrides)
    for part in parts:
        console.print(part)
