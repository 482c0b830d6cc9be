"""`headway import`: another program's model becomes a model folder."""

from pathlib import Path
from typing import Annotated

import typer


def import_model(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER|FILE.gguf",
            help="A folder of transformers, with safetensors and tokenizer.json, or a GGUF file.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The model folder to write; default: models/NAME.")
    ] = None,
) -> None:
    """Read a model of transformers or llama.cpp: to use, to look into, or to train on.

    No code that the folder holds is run. What no model here can hold is refused, with the setting or tensor
    that stands against it.
    """
    from headway.commands.show import put
    from headway.exchange import import_model as run_import
    from headway.run import say_on_stderr

    place = out or Path("models") / (folder.stem if folder.is_file() else folder.resolve().name)
    pipeline = run_import(folder, place, put)
    parameters = sum(p.numel() for p in pipeline.bundle.model.parameters())
    put(f"{pipeline.architecture}, {parameters:,} parameters")
    say_on_stderr(f"the model is in {place}. Use it with: headway predict {place}")
