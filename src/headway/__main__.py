"""`python -m headway` and the `headway` command."""

import io
import os
import sys

from headway.errors import UserError

INTERRUPTED = 130
"""What a shell expects of a process that Ctrl-C ended."""


def main() -> None:
    """Run the command line; a user's mistake ends with one message and exit status 2, without a traceback.

    So does Ctrl-C before there is anything to be saved, with status 130.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=stream.errors)  # as all text that we read and write
    try:
        from headway.cli import app

        try:
            app()
        finally:
            _flush_output()
    except KeyboardInterrupt:
        _refuse("interrupted", INTERRUPTED)
    except UserError as error:
        _refuse(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _refuse(f"{place}{error.strerror or error}")


def _flush_output() -> None:
    """Write what is held back. Raises UserError if it cannot be, other than to a reader who has enough."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try again at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise UserError(f"standard output: {error.strerror or error}") from error


def _refuse(message: str, status: int = 2) -> None:
    print(f"headway: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
