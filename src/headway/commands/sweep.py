"""`headway train … --seeds N`: several seeds, and how far they lie apart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headway.errors import UserError


def train_sweep(
    things: Sequence[str], overrides: Sequence[str], seeds: int | None, out: Path | None, **wishes: Any
) -> int:
    """Train a new sweep of so many seeds, or with None go on with the one in a folder; the exit status."""
    from headway.commands.show import show
    from headway.run import say_on_stderr
    from headway.sweep import resume_sweep, train_seeds

    if seeds is not None:
        outcome = train_seeds(*things, seeds=seeds, overrides=overrides, out=out, say=say_on_stderr, **wishes)
    elif len(things) > 1 or overrides or out is not None or any(wish is not None for wish in wishes.values()):
        raise UserError(f"{things[0]}: several seeds go on as they began; name the folder alone")
    else:
        outcome = resume_sweep(Path(things[0]), say_on_stderr)
    folder = outcome.sweep.path
    if outcome.seeds is None:
        say_on_stderr(f"stopped when asked to. Go on with: headway train {folder}")
        return outcome.exit_status
    show(outcome.seeds.table())
    say_on_stderr(f"the models are in {folder}. Judge them by: headway evaluate {folder} DATA")
    return 0
