"""`headway check`: what is looked at before the first step of a run, without training."""

from typing import Annotated

import typer

from headway.commands.arguments import Minutes, Objective, Size, StartFrom, split_overrides


def check(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE|DATA…|RUN [KEY=VALUE…]",
            help="What `headway train` would be given.",
        ),
    ],
    minutes: Minutes = None,
    size: Size = None,
    objective: Objective = None,
    start_from: StartFrom = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON in place of the lines.")] = False,
) -> None:
    """Check text, held-out text and the fresh model as training does before its first step; train nothing.

    A line a check: ok, warning, or fault, with what is wrong and what to do. Exit status: 0 if there is no
    fault, 1 if there is one, 2 if it could not be checked.
    """
    things, overrides = split_overrides(arguments, "name a recipe, data files, or a run folder to check")
    from headway.commands.show import put
    from headway.launch import check as run_checks
    from headway.run import say_on_stderr

    found = run_checks(
        *things,
        overrides=overrides,
        objective=objective,
        start_from=start_from,
        minutes=minutes,
        size=size,
        say=say_on_stderr,
    )
    put(found.to_json(), end="") if as_json else put("\n".join(found.lines()))
    if found.faults:
        raise typer.Exit(1)
