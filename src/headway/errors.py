"""What a user can fix: each error names the file, line or key and says what would be right."""

import difflib
from collections.abc import Iterable
from pathlib import Path

LONGEST_WORD, MOST_CHOICES = 80, 500
"""What a hint looks at: more than any key has characters, and more than any table has keys."""


class UserError(Exception):
    """A mistake of the user's, printed as one message without a traceback; exit status 2."""


class DataError(UserError):
    """Text that cannot be used, with its file and line (counted from 1)."""

    def __init__(self, message: str, file: Path | str | None = None, line: int | None = None) -> None:
        place = "" if file is None else f"{file}: " if line is None else f"{file}, line {line}: "
        super().__init__(place + message)
        self.reason = message
        self.file = file
        self.line = line


class RecipeError(UserError):
    """A recipe, preset or override that cannot be followed; names the key and the valid choices."""


class FolderError(UserError):
    """A model or run folder that is damaged, foreign, newer than this version, or in use."""


def refuse_out_of_range(table: str, config: object, rules: Iterable[tuple[str, bool, str]]) -> None:
    """Raises RecipeError for the first broken rule: key in the table, whether it is good, what is."""
    for key, good, right in rules:
        if not good:
            raise RecipeError(f"{table}.{key} = {getattr(config, key)}: must be {right}")


def shown(value: object, most: int = 80) -> str:
    """A value as a message shows it: one line that ends where it gets too long."""
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A closing hint: the nearest choice if one is near, else all of them."""
    known = sorted(choices)
    # A word that is longer than any choice is compared by its beginning: comparing takes time.
    near = difflib.get_close_matches(word[:LONGEST_WORD], known[:MOST_CHOICES], n=1, cutoff=0.6)
    listed = ", ".join(each if len(each) <= LONGEST_WORD else shown(each) for each in known[:MOST_CHOICES])
    more = f" and {len(known) - MOST_CHOICES:,} more" if len(known) > MOST_CHOICES else ""
    return f"did you mean {near[0]!r}?" if near else f"choose from: {listed}{more}"
