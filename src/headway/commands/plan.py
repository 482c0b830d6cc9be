"""`headway plan`: what would be trained on data, and why, without training."""

from pathlib import Path
from typing import Annotated

import typer

from headway.commands.arguments import Minutes, Objective, Size, StartFrom, split_overrides


def plan(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA… [KEY=VALUE…]",
            help="Data files, then what is decided already, as in model.d_model=256; the rest goes by it.",
        ),
    ],
    minutes: Minutes = None,
    size: Size = None,
    objective: Objective = None,
    start_from: StartFrom = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the recipe into this file, rather than print it."),
    ] = None,
) -> None:
    """Print the recipe that training on data would follow: measured facts, choices with reasons, the time.

    It is a TOML file to edit and train by: `headway train RECIPE`.
    """
    things, overrides = split_overrides(arguments, "name data files to plan for")
    from headway.commands.show import put
    from headway.launch import plan as make_plan
    from headway.planning.show import as_toml, write_plan
    from headway.run import say_on_stderr

    made = make_plan(
        *things,
        overrides=overrides,
        objective=objective,
        start_from=start_from,
        minutes=minutes,
        size=size,
        say=say_on_stderr,
    )
    if out is None:
        put(as_toml(made), end="")
    else:
        write_plan(made, out)
        say_on_stderr(f"{out}: written. Train by it with: headway train {out}")
