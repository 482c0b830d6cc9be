"""What was checked of a model, and what was found."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

Figure = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class Law:
    """One law, as found."""

    name: str
    holds: bool | None
    """None: there is nothing that could be broken, only a figure to be told."""
    found: str
    """What was looked at and came out, in one line."""
    figures: Mapping[str, Figure] = field(default_factory=dict)
    """The numbers of that line."""

    @property
    def verdict(self) -> Literal["told", "holds", "BROKEN"]:
        return "told" if self.holds is None else "holds" if self.holds else "BROKEN"

    def __repr__(self) -> str:
        return f"{self.verdict:6}  {self.name}: {self.found}"


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Whether a model obeys the laws: `holds` is the answer, `laws` the reasons."""

    model: str
    """The folder, or what was given in its place."""
    computed: str
    """What kind of model it is, in which numbers, on which device; empty if it could not be opened."""
    texts: int
    origin: str
    """Where the texts come from, in words."""
    laws: tuple[Law, ...]

    @property
    def holds(self) -> bool:
        """Whether no law is broken."""
        return not self.broken

    @property
    def broken(self) -> tuple[Law, ...]:
        return tuple(law for law in self.laws if law.holds is False)

    def lines(self) -> list[str]:
        """What was checked, a line a law, and the verdict."""
        checked = sum(law.holds is not None for law in self.laws)
        laws = "1 law" if checked == 1 else f"{checked} laws"
        texts = "1 text" if self.texts == 1 else f"{self.texts:,} texts"
        names = ", ".join(law.name for law in self.broken)
        verdict = f"{len(self.broken)} of {laws} broken: {names}" if names else f"{laws} checked, all hold"
        return [
            f"model   {self.model}{': ' if self.computed else ''}{self.computed}",
            *([f"text    {texts}, {self.origin}"] if self.texts else []),
            *map(repr, self.laws),
            verdict,
        ]

    def to_json(self) -> str:
        """A JSON object; figures that are no finite numbers are null."""
        table = asdict(self) | {"holds": self.holds}
        for law in table["laws"]:
            law["figures"] = {name: _finite(value) for name, value in law["figures"].items()}
        return json.dumps(table, indent=2, ensure_ascii=False)

    def __repr__(self) -> str:
        return "\n".join(self.lines())


def _finite(value: Figure) -> Figure | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
