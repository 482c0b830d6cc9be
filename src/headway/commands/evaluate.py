"""`headway evaluate`: figures on held-out data, with intervals and baselines."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headway.commands.arguments import split_overrides
from headway.errors import UserError

if TYPE_CHECKING:
    from headway.judge import Judged


def evaluate(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL DATA… [KEY=VALUE…]",
            help="A model or run folder; files of pairs or text as in training; settings of the search, and "
            "data.KEY=VALUE for how the files are read.",
        ),
    ],
    against: Annotated[
        Path | None, typer.Option(help="A second model, compared on the same data by paired bootstrap.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write the model's outputs here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON in place of the table.")] = False,
    layout: Annotated[
        str | None, typer.Option(help="How the data lies in its files; the same as data.layout=….")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[
        str,
        typer.Option(help="float32 or int8, of MODEL alone: --against the same one tells what int8 costs."),
    ] = "float32",
) -> None:
    """Evaluate a model on data it was not trained on.

    Pairs: BLEU, chrF, TER (sacreBLEU's, with signatures), exact match, or word and symbol error rate. Text:
    perplexity and bits per byte, or masked accuracy. Every figure has its 95 % interval. The files of a run
    folder's model are read as those that it was trained on. Of a folder of several seeds (train --seeds) each
    is evaluated; then come mean, standard deviation and range.
    """
    (model, *data), overrides = split_overrides(arguments, "name a model or run folder, and data")
    if not data:
        raise UserError("name the data to evaluate on, as in: headway evaluate MODEL test.tsv")
    from headway.commands.show import put, show
    from headway.evaluation.seeds import seeds_json, seeds_of
    from headway.sweep import is_sweep, read_sweep

    if layout is not None:
        overrides.append(f"data.layout={layout}")
    if not is_sweep(Path(model)):
        judged = _judged(Path(model), data, overrides, against, output, (device, precision))
        if output is not None:
            output.write_text("".join(f"{line}\n" for line in judged.outputs), "utf-8")
        if as_json:
            put(judged.evaluation.to_json())
        else:
            show(judged.evaluation.table())
        return
    if against is not None or output is not None:
        raise UserError(f"{model}: holds several seeds; --against and --output are for a single run")
    evaluations = {
        f"seed {seed}": _judged(run.path, data, overrides, None, None, (device, precision)).evaluation
        for seed, run in read_sweep(Path(model)).runs.items()
    }
    if as_json:
        put(seeds_json(evaluations))
    else:
        show(seeds_of(evaluations).table())


def _judged(
    model: Path,
    data: Sequence[str],
    overrides: Sequence[str],
    against: Path | None,
    output: Path | None,
    place: tuple[str, str],
) -> "Judged":
    """One model's figures on data that is read as that of its run; the place is a device and a precision."""
    from headway.api import key_of, load, refuse_search
    from headway.judge import judge
    from headway.planning.objective import read_data_config
    from headway.recipe import read_whole_recipe
    from headway.run_folder import run_of

    of_data = [each for each in overrides if each.startswith("data.")]
    of_search = [each for each in overrides if not each.startswith("data.")]
    run = run_of(model)
    before = read_whole_recipe(run.recipe).data if run is not None else None
    config = read_data_config(data, of_data, before)
    device, precision = place
    pipeline = load(model, device=device, precision=precision).with_overrides(of_search)
    other = None if against is None else load(against, device=device).with_overrides(of_search)
    if pipeline.architecture != "encoder-decoder":
        refuse_search(map(key_of, of_search))
    if output is not None:
        _check_output(output, pipeline.architecture)
    return judge(pipeline, config, other)


def _check_output(path: Path, architecture: str) -> None:
    """Before the work is done: whether there will be outputs, and a place for them."""
    if architecture != "encoder-decoder":
        raise UserError("--output: only an encoder-decoder has outputs to write")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file for the outputs")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: there is no such folder")
