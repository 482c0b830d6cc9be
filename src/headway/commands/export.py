"""`headway export`: the model for other programs, with the proof that it is the same."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model or run folder.")],
    to: Annotated[
        str,
        typer.Option("--to", metavar="TARGET", help="transformers, ctranslate2, onnx, gguf or torch."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A new folder; default: NAME-TARGET beside the model."),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(help="Lines to prove it on: of pairs the sources. Default: what the run held out."),
    ] = None,
    type: Annotated[
        str,
        typer.Option(help="How numbers are stored; ctranslate2 alone takes float16, bfloat16 and int8, too."),
    ] = "float32",
) -> None:
    """Write the model for another program, and prove on real text that it computes the same.

    What a target can hold, and what to change where it cannot, is shown before training by headway inspect. A
    model whose proof fails is not written.
    """
    from headway.commands.show import put
    from headway.exchange import default_place
    from headway.exchange import export as run_export
    from headway.run import say_on_stderr

    place = out or default_place(model, to)
    proof = run_export(model, to, place, text=text, type=type)
    for line in proof.lines():
        put(line)
    say_on_stderr(f"the export is in {place}")
