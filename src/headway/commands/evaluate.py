"""`headway evaluate`: figures on held-out data, with intervals and baselines."""

import sys
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
            help="A model or run folder; files of pairs or text as in training; settings of the search.",
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
        str, typer.Option(help="How the data lies in its files, if not to be found out.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Evaluate a model on data it was not trained on.

    Pairs: BLEU, chrF, TER (sacreBLEU's, with signatures), exact match, or word and symbol error rate. Text:
    perplexity and bits per byte, or masked accuracy. Every figure has its 95 % interval.
    """
    (model, *data), overrides = split_overrides(arguments, "name a model or run folder, and data")
    if not data:
        raise UserError("name the data to evaluate on, as in: headway evaluate MODEL test.tsv")
    from rich.console import Console

    from headway.api import load
    from headway.config import from_table
    from headway.data.corpus import DataConfig
    from headway.judge import judge

    pipeline = load(model, device=device).with_overrides(overrides)
    other = None if against is None else load(against, device=device).with_overrides(overrides)
    config = from_table(DataConfig, {"train": data, "layout": layout})
    judged = judge(pipeline, config, other)
    if output is not None:
        if not judged.outputs:
            raise UserError("--output: only an encoder-decoder has outputs to write")
        output.write_text("".join(f"{line}\n" for line in judged.outputs), "utf-8")
    if as_json:
        print(judged.evaluation.to_json())
    else:
        Console(file=sys.stdout).print(judged.evaluation.table())
