"""`headway inspect`: what a model, a run or a recipe is, before or after training."""

from pathlib import Path
from typing import Annotated

import typer

from headway.commands.arguments import split_overrides
from headway.errors import UserError, did_you_mean


def inspect(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|RUN|RECIPE|PRESET [KEY=VALUE…]",
            help="A folder, a .toml file, or the name of a recipe or a model preset.",
        ),
    ],
    plot: Annotated[
        Path | None,
        typer.Option(help="Of a run: write its curves as a figure, .png, .svg or .pdf (extra `plot`)."),
    ] = None,
) -> None:
    """Show a run's health: what is wrong with it, its curves, its predictions. Show a model's, recipe's or
    preset's shape, parameters by part, and what else is known of it."""
    needed = "name one model or run folder, recipe or preset"
    (thing, *more), overrides = split_overrides(arguments, needed)
    if more:
        raise UserError(f"{' '.join(more)}: {needed}")
    from headway import overview
    from headway.commands.show import show
    from headway.model.presets import PRESETS
    from headway.recipe import built_in_recipes
    from headway.run_folder import RunFolder

    path = Path(thing)
    if plot is not None and not RunFolder(path).exists:
        raise UserError(f"--plot: {thing} is no run folder, and only a run has curves")
    if RunFolder(path).exists and not RunFolder(path).is_finished:
        parts = overview.of_recipe(str(RunFolder(path).recipe), overrides)
    elif path.is_dir():
        if overrides:
            raise UserError(f"{overrides[0]}: a trained model is as it is; leave it out")
        parts = overview.of_model(path)
    elif path.suffix == ".toml" or path.exists() or thing in built_in_recipes():
        parts = overview.of_recipe(thing, overrides)
    elif thing in PRESETS:
        parts = overview.of_preset(thing, overrides)
    else:
        hint = did_you_mean(thing, [*built_in_recipes(), *PRESETS])
        raise UserError(f"there is neither a folder, a file, a recipe nor a preset {thing!r}: {hint}")
    known = list(parts)
    if RunFolder(path).exists:
        _health(path, plot)
    for part in known:
        show(part)


def _health(run: Path, plot: Path | None) -> None:
    """How a run goes or went, and its curves as a figure where one is wanted."""
    from headway.commands.show import show
    from headway.diagnosis.health import health
    from headway.diagnosis.history import read_history
    from headway.diagnosis.plot import save_curves

    history = read_history(run)
    if plot is not None:
        save_curves(history, plot, str(run))
    for part in health(run, history):
        show(part)
