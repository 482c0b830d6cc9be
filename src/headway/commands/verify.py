"""`headway verify`: the laws that any model must obey, checked on one's own."""

from pathlib import Path
from typing import Annotated

import typer


def verify(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model or run folder.")],
    text: Annotated[
        Path | None,
        typer.Option(help="Lines to check on: of pairs the sources. Default: what the run held out."),
    ] = None,
    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET",
            help="Also prove the export to transformers, ctranslate2, onnx, gguf or torch; may be repeated.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON in place of the lines.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Check the laws that any model must obey, on your own: the future unseen, padding without effect, …

    A line a law, with what was looked at and what came out. Exit status: 0 if all hold, 1 if one is broken, 2
    if it could not be checked.
    """
    from headway.commands.show import put
    from headway.verification.verify import verify as run_verify

    found = run_verify(model, text, device=device, exports=export or ())
    if as_json:
        put(found.to_json())
    else:
        for line in found.lines():
            put(line)
    if not found.holds:
        raise typer.Exit(1)
