"""What a sign of trouble says: its name, the figures behind it, and what to do."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One sign of trouble in a run, as found."""

    sign: str
    """Its name, as in docs/how-to/diagnose.md."""
    found: str
    """What was seen, with the figures."""
    remedy: str
    """What to do."""
    figures: dict[str, Any]
    """The same figures for programs."""

    def __str__(self) -> str:
        return f"{self.sign}: {self.found}. {self.remedy}"
