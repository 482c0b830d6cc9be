"""`headway train`: from a recipe, from data, or on from where a run stopped."""

from pathlib import Path
from typing import Annotated, Any

import typer

from headway.commands.arguments import Minutes, Objective, Size, StartFrom, split_overrides
from headway.commands.sweep import train_sweep

SEEDS = "Train so many seeds of the recipe, one after the other, and show how far they lie apart."


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
    objective: Objective = None,
    start_from: StartFrom = None,
    minutes: Minutes = None,
    size: Size = None,
    seeds: Annotated[int | None, typer.Option(help=SEEDS)] = None,
) -> None:
    """Train a model; on a run folder, go on where it stopped.

    Data may be pairs (a TAB between source and target, or JSONL) or plain text; .gz, .xz and .zst are read as
    they are, globs are followed, and - is standard input.
    """
    things, overrides = split_overrides(arguments, "name a recipe, data files, or a run folder to go on with")
    from headway.launch import train as run_training
    from headway.run import say_on_stderr
    from headway.sweep import is_sweep
    from headway.training.distributed import speaks

    wishes: dict[str, Any] = {
        "objective": objective,
        "start_from": start_from,
        "minutes": minutes,
        "size": size,
    }
    if seeds is not None or is_sweep(Path(things[0])):
        raise typer.Exit(train_sweep(things, overrides, seeds, out, **wishes))
    outcome = run_training(*things, overrides=overrides, out=out, say=say_on_stderr, **wishes)
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
