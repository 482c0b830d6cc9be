"""What several verbs write to standard output."""

from rich.console import Console, RenderableType

from headway.errors import UserError


def put(text: str, end: str = "\n", flush: bool = False) -> None:
    """Print it. Raises UserError if it cannot be written, BrokenPipeError if its reader has seen enough."""
    try:
        print(text, end=end, flush=flush)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"standard output: {error.strerror or error}") from error


def show(part: RenderableType) -> None:
    """Print a table; rich itself would take a reader who has seen enough for a failure."""
    console = Console()
    with console.capture() as captured:
        console.print(part)
    put(captured.get(), end="")
