"""Looks for signs of trouble while a run goes on, and tells each once."""

import json
from dataclasses import asdict
from pathlib import Path

from headway.diagnosis.examination import findings_in
from headway.diagnosis.finding import Finding
from headway.diagnosis.history import HistoryReader, read_lines
from headway.sealed_folder import writing
from headway.training.loop import Moment, Reporter, Validation

FINDINGS = "findings.jsonl"


class Watch:
    """A reporter that reads what the others have written at each validation, and warns of what is new in it.

    What it finds is a function of the files, so that a run that goes on finds the same.
    """

    def __init__(self, folder: Path, teller: Reporter) -> None:
        self.reader, self.teller = HistoryReader(folder), teller

    def step(self, moment: Moment) -> None:
        """Steps alone tell nothing new."""

    def validation(self, step: int, validation: Validation, better: bool) -> None:
        for finding in _told_first(self.reader, step):
            self.teller.warning(str(finding))

    def warning(self, message: str) -> None:
        """Others tell it."""


def new_findings(folder: Path, step: int) -> list[Finding]:
    """The signs that findings.jsonl does not have yet; from now on it has them, as found at this step."""
    return _told_first(HistoryReader(folder), step)


def _told_first(reader: HistoryReader, step: int) -> list[Finding]:
    path = reader.run.path / FINDINGS
    known = {line.get("sign") for line in read_lines(path)}
    new = [finding for finding in findings_in(reader.read()) if finding.sign not in known]
    if new:
        lines = (json.dumps({"step": step, **asdict(each)}, ensure_ascii=False) + "\n" for each in new)
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
    return new
