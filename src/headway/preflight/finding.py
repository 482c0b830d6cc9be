"""What the checks before the first step found."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from headway.errors import UserError

Level = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found. A fault makes training meaningless; a warning may have its reason."""

    check: str
    level: Level
    message: str
    """What was found, with its figures."""
    remedy: str = ""
    """What to do about it; empty where all is well."""

    def __repr__(self) -> str:
        return f"{self.level:8}{self.check}: {self.said}"

    @property
    def said(self) -> str:
        """What is wrong, and what to do."""
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """All that was found, and in how many seconds."""

    findings: tuple[Finding, ...]
    seconds: float
    left_out: str = ""
    """Which checks could not be made, and why."""

    @property
    def faults(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.level == "fault")

    def refuse_faults(self) -> None:
        """Raises UserError for faults, with how to train in spite of them."""
        if self.faults:
            what = ". ".join(f"{each.check}: {each.said}" for each in self.faults)
            raise UserError(f"{what}. Nothing was trained; to train all the same: training.checks=false")

    def told(self) -> list[str]:
        """What a run says: a line for each check that is not ok, and a summary."""
        passed = [each for each in self.findings if each.level == "ok"]
        warnings = [
            f"warning: {each.check}: {each.said}" for each in self.findings if each.level == "warning"
        ]
        count = len(self.findings)
        among = f"{count} checks" if len(passed) == count else f"{len(passed)} of {count} checks"
        parts = [*(each.message for each in passed), *([self.left_out] if self.left_out else [])]
        return [*warnings, f"{among} passed in {self.seconds:.1f} s: {'; '.join(parts)}"]

    def lines(self) -> list[str]:
        """A line a check, and the verdict."""
        faults, count = len(self.faults), len(self.findings)
        warnings = sum(each.level == "warning" for each in self.findings)
        parts = [f"{number} {name}s" for number, name in ((faults, "fault"), (warnings, "warning")) if number]
        parts = [part.removesuffix("s") if part.startswith("1 ") else part for part in parts]
        verdict = f"{count} checks in {self.seconds:.1f} s: {' and '.join(parts) or 'all is well'}"
        return [*map(repr, self.findings), *([self.left_out] if self.left_out else []), verdict]

    def to_json(self) -> str:
        """A JSON object, as it lies in a run folder."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"
