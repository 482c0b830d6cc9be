"""What several verbs take: things, then KEY=VALUE."""

from collections.abc import Sequence
from pathlib import Path

from headway.errors import UserError


def split_overrides(arguments: Sequence[str], needed: str) -> tuple[list[str], list[str]]:
    """The things named, and the KEY=VALUE among them. Raises UserError with `needed` if nothing is named."""
    overrides = [each for each in arguments if "=" in each and not Path(each).exists()]
    things = [each for each in arguments if each not in overrides]
    if not things:
        raise UserError(needed)
    return things, overrides
