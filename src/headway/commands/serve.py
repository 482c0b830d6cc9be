"""`headway serve`: trained models in a browser, and behind the interfaces that programs speak."""

import sys
from typing import Annotated

import typer

from headway.errors import UserError


def serve(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL… [KEY=VALUE…]",
            help="Model or run folders, or NAME=FOLDER; limits of the server, as in timeout=30 queue=64.",
        ),
    ],
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 for other machines too.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any free one.")] = 8000,
    key: Annotated[
        str, typer.Option(envvar="HEADWAY_KEY", help="What clients must send as a bearer token.")
    ] = "",
    cors: Annotated[str, typer.Option(help="An origin whose pages may use the server, or *.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Serve models over HTTP: OpenAI's and LibreTranslate's interfaces, and a page that shows the attention.

    A run in progress is shown while it trains. SIGHUP loads the models anew; requests under way go on.
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UserError(f"serving needs the package {error.name}: pip install 'headway[serve]'") from error
    import logging
    from pathlib import Path

    from headway.config import apply_overrides, from_table
    from headway.serving.server import Service, places_of
    from headway.serving.settings import ServingConfig

    def is_limit(argument: str) -> bool:
        value = argument.partition("=")[2]
        return "=" in argument and not Path(argument).exists() and not Path(value).is_dir()

    limits = [each for each in arguments if is_limit(each)]
    places = places_of([each for each in arguments if each not in limits])
    if not places:
        raise UserError("name a model or run folder")
    table = {"host": host, "port": port, "key": key, "cors": cors}
    settings = from_table(ServingConfig, apply_overrides(ServingConfig, table, limits))
    logging.basicConfig(level=logging.WARNING, format="headway: %(message)s", stream=sys.stderr)
    Service(places, settings, device).serve()
