"""`headway evaluate`: figures on held-out data, with intervals and baselines."""

from pathlib import Path
from typing import Annotated

import typer

from headway.commands.arguments import split_overrides
from headway.errors import UserError


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
) -> None:
    """Evaluate a model on data it was not trained on.

    Pairs: BLEU, chrF, TER (sacreBLEU's, with signatures), exact match, or word and symbol error rate. Text:
    perplexity and bits per byte, or masked accuracy. Every figure has its 95 % interval. The files of a run
    folder's model are read as those that it was trained on.
    """
    (model, *data), overrides = split_overrides(arguments, "name a model or run folder, and data")
    if not data:
        raise UserError("name the data to evaluate on, as in: headway evaluate MODEL test.tsv")
    from headway.api import key_of, load, refuse_search
    from headway.commands.show import put, show
    from headway.judge import judge
    from headway.launch import read_data_config
    from headway.recipe import read_whole_recipe
    from headway.run_folder import RunFolder

    of_data = [each for each in overrides if each.startswith("data.")]
    of_search = [each for each in overrides if not each.startswith("data.")]
    if layout is not None:
        of_data.append(f"data.layout={layout}")
    run = RunFolder(Path(model))
    before = read_whole_recipe(run.recipe).data if run.exists else None
    config = read_data_config(data, of_data, before)
    pipeline = load(model, device=device).with_overrides(of_search)
    other = None if against is None else load(against, device=device).with_overrides(of_search)
    if pipeline.architecture != "encoder-decoder":
        refuse_search(map(key_of, of_search))
    if output is not None:
        _check_output(output, pipeline.architecture)
    judged = judge(pipeline, config, other)
    if output is not None:
        output.write_text("".join(f"{line}\n" for line in judged.outputs), "utf-8")
    if as_json:
        put(judged.evaluation.to_json())
    else:
        show(judged.evaluation.table())


def _check_output(path: Path, architecture: str) -> None:
    """Before the work is done: whether there will be outputs, and a place for them."""
    if architecture != "encoder-decoder":
        raise UserError("--output: only an encoder-decoder has outputs to write")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file for the outputs")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: there is no such folder")
