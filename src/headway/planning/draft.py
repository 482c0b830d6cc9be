"""A recipe in the making: what the user has given stands first, and what is chosen fills in the rest."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from headway.config import Table
from headway.model.presets import merged

GIVEN = "as given"


@dataclass(frozen=True)
class Choice:
    """One key of a recipe with its value, and why in one line."""

    key: str
    value: Any
    reason: str


class Draft:
    """Choices in the order in which they are made; later ones can look at earlier ones."""

    def __init__(self, given: Table, whole: Table | None = None) -> None:
        """`given` is what the user wrote; `whole` that with what it stands for, as a preset does."""
        self.given = given
        self.known = merged(whole or {}, given)
        self.table: Table = {}
        self.choices: list[Choice] = []
        for key, value in leaves(given):
            if not key.startswith("data."):
                self.choices.append(Choice(key, value, GIVEN))

    def choose(self, key: str, value: Any, reason: str) -> Any:
        """What the key is to be: the given value if there is one, else this one, for this reason."""
        if self.is_given(key):
            return self.get(key)
        self.choices = [choice for choice in self.choices if choice.key != key]
        self.choices.append(Choice(key, value, reason))
        _put(self.table, key, value)
        return value

    def is_given(self, key: str) -> bool:
        """Whether the user has decided it."""
        return _find(self.known, key) is not None

    def get(self, key: str, default: Any = None) -> Any:
        """What is given or chosen for the key, which may be a table."""
        found = _find(merged(self.table, self.known), key)
        return default if found is None else found[0]

    def copy(self) -> "Draft":
        """The same, to try something out."""
        other = Draft({})
        other.given, other.known = self.given, self.known
        other.table, other.choices = deepcopy(self.table), [*self.choices]
        return other


def leaves(table: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Keys with dots, and their values."""
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            found += leaves(value, f"{before}{key}.")
        else:
            found.append((before + key, value))
    return found


def _find(table: Any, key: str) -> tuple[Any] | None:
    """The value at a key with dots, as a single item; None if there is none."""
    for part in key.split("."):
        if not isinstance(table, Mapping) or part not in table:
            return None
        table = table[part]
    return (table,)


def _put(table: Table, key: str, value: Any) -> None:
    *groups, name = key.split(".")
    for group in groups:
        table = table.setdefault(group, {})
    table[name] = value
