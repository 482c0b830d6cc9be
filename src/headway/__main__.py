"""`python -m headway` and the `headway` command."""

import os
import sys

from headway.errors import UserError


def main() -> None:
    """Run the command line; a user's mistake ends with one message and exit status 2, without a traceback."""
    from headway.cli import app

    try:
        app()
    except UserError as error:
        print(f"headway: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has enough; keep Python from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
