"""All tests of both tiers, on record: python benchmarks/all_tests.py [PATH…], which is `make test-all`.

What passed, what was skipped and why, and what took longest go to benchmarks/results/tests.json and tests.md;
with paths, only some tests are run and nothing is written. The exit status is pytest's.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from machine import machine

RESULTS = Path(__file__).parent / "results"
ALL = "slow or not slow"
LONGEST = 10
"""How many of the longest are listed."""


def run(paths: list[str]) -> tuple[int, ElementTree.Element]:
    """The exit status, and the report of each test."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-n", "auto", "-m", ALL, f"--junit-xml={report}", *paths]
        status = subprocess.run(command, cwd=RESULTS.parents[1], check=False).returncode
        return status, ElementTree.fromstring(report.read_text("utf-8"))


def counted(report: ElementTree.Element) -> dict[str, Any]:
    """How many ended how, reasons for those left out, and the longest."""
    suite = next(report.iter("testsuite"))
    outcomes = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    reasons = Counter(skip.get("message", "") for skip in report.iter("skipped"))
    cases = [
        (f"{case.get('classname')}::{case.get('name')}", float(case.get("time", 0)))
        for case in report.iter("testcase")
    ]
    longest = sorted(cases, key=lambda case: -case[1])[:LONGEST]
    return {
        **outcomes,
        "seconds": float(suite.get("time", 0)),
        "reasons": dict(reasons.most_common()),
        "longest": [{"test": name, "seconds": seconds} for name, seconds in longest],
        "machine": machine(),
    }


def page(found: dict[str, Any]) -> str:
    """The same as a page."""
    where = found["machine"]
    passed = found["tests"] - found["failures"] - found["errors"] - found["skipped"]
    lines = [
        "# All tests, of both tiers",
        "",
        "Made by `make test-all`.",
        "",
        f"{found['tests']:,} tests in {found['seconds'] / 60:.0f} minutes: {passed:,} passed, "
        f"{found['failures'] + found['errors']} failed, {found['skipped']} were left out.",
        "",
        "| left out because | tests |",
        "| --- | ---: |",
        *(f"| {reason} | {count} |" for reason, count in found["reasons"].items()),
        "",
        "| longest | seconds |",
        "| --- | ---: |",
        *(f"| `{each['test']}` | {each['seconds']:.0f} |" for each in found["longest"]),
        "",
        f"Machine: {where['processor']}, {where['cores']} cores, torch {where['torch']}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    status, report = run(sys.argv[1:])
    found = counted(report)
    if not sys.argv[1:]:
        (RESULTS / "tests.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        (RESULTS / "tests.md").write_text(page(found), "utf-8")
    raise SystemExit(status)


if __name__ == "__main__":
    main()
