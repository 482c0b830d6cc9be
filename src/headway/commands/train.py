"""`headway train`: from a recipe, from data, or on from where a run stopped."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from headway.commands.arguments import split_overrides

Objective = Literal["pairs", "causal", "masked"]


def train(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE|DATA…|RUN [KEY=VALUE…]",
            help="A recipe (.toml, or a built-in one by name), or data files, or a run folder to go on with; "
            "then what to change in the recipe, as in stop.minutes=10 model.d_model=256.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run folder; default: runs/NAME.")
    ] = None,
    objective: Annotated[
        Objective | None,
        typer.Option(
            help="For data files: what to learn. Default: pairs from pairs, causal from plain text."
        ),
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="A model or run folder whose model is trained further, with its shape and vocabulary.",
        ),
    ] = None,
) -> None:
    """Train a model; on a run folder, go on where it stopped.

    Data may be pairs (a TAB between source and target, or JSONL) or plain text; .gz, .xz and .zst are read as
    they are, globs are followed, and - is standard input.
    """
    things, overrides = split_overrides(arguments, "name a recipe, data files, or a run folder to go on with")
    from headway.launch import train as run_training
    from headway.run import say_on_stderr
    from headway.training.distributed import speaks

    outcome = run_training(
        *things, overrides=overrides, out=out, objective=objective, start_from=start_from, say=say_on_stderr
    )
    if not speaks():
        raise typer.Exit(outcome.exit_status)
    folder = outcome.folder.path
    if outcome.exit_status:
        say_on_stderr(f"{outcome.reason}. Go on with: headway train {folder}")
        raise typer.Exit(outcome.exit_status)
    if not outcome.metrics:
        return  # it was finished before, and that has been said
    metrics = "  ".join(f"{name} {value:.4g}" for name, value in outcome.metrics.items())
    say_on_stderr(f"{outcome.reason}. Held-out {metrics}")
    say_on_stderr(f"the model is in {outcome.folder.model}. Use it with: headway predict {folder}")
