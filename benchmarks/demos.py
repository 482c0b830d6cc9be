"""Run demos and keep their figures: python benchmarks/demos.py pronounce=3 pronounce=20 fill=5 …

Each argument is a demo and its minutes of training, and after commas more settings of its recipe, as in
pronounce=20,model.d_model=192. Figures go to benchmarks/results/demos.json, where a row of the same command
is replaced; the table demos.md is made anew from all rows.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import machine

from headway.run_folder import free_folder

RESULTS = Path(__file__).parent / "results"


def measure(demo: str, minutes: float, settings: list[str], runs: Path) -> dict[str, Any]:
    """Train and judge one demo in a folder of its own, as a person would."""
    folder = free_folder(f"demo-{demo}-{minutes:g}", runs)
    command = [
        sys.executable,
        "-m",
        "headway",
        "demo",
        demo,
        "--minutes",
        f"{minutes:g}",
        "--out",
        str(folder),
        *settings,
    ]
    subprocess.run(command, check=True)
    return row_of(folder, demo, minutes, settings)


def row_of(folder: Path, demo: str, minutes: float, settings: list[str]) -> dict[str, Any]:
    """What a finished run of a demo left."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    last = [line for line in lines if "loss" in line][-1]
    return {
        "demo": demo,
        "minutes": minutes,
        "command": " ".join(["headway demo", demo, f"--minutes {minutes:g}", *settings]),
        "steps": last["step"],
        "epochs": round(last["epoch"], 2),
        "predicted_tokens_per_second": round(last["tokens"] / last["seconds"]),
        "machine": machine(),
        "evaluation": json.loads((folder / "evaluation.json").read_text("utf-8")),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """A row for each measure of each demo, the baselines beside it."""
    lines = [
        "# The demos, measured",
        "",
        "Made by `python benchmarks/demos.py`; in brackets, 95 % confidence intervals.",
        "",
        "| command | steps | tokens/s | measure | model | baselines |",
        "| --- | ---: | ---: | --- | ---: | --- |",
    ]
    for row in rows:
        model, *baselines = row["evaluation"]["systems"].items()
        for i, measure in enumerate(model[1]):
            others = [
                f"{name}: {shown(each)}"
                for name, measures in baselines
                for each in measures
                if each["name"] == measure["name"]
            ]
            run = [f"`{row['command']}`", f"{row['steps']:,}", f"{row['predicted_tokens_per_second']:,}"]
            first = run if i == 0 else ["", "", ""]
            lines.append(
                "| " + " | ".join([*first, measure["name"], shown(measure), "; ".join(others)]) + " |"
            )
    where = rows[-1]["machine"]
    lines += ["", f"Machine: {where['processor']}, {where['cores']} cores, torch {where['torch']}.", ""]
    return "\n".join(lines)


def shown(measure: dict[str, Any]) -> str:
    unit = f" {measure['unit']}" if measure["unit"] else ""
    text = f"{measure['value']:.2f}{unit}"
    if measure["low"] is None:
        return text
    return f"{text} [{measure['low']:.2f}, {measure['high']:.2f}]"


def main() -> None:
    runs = Path("runs")
    for argument in sys.argv[1:]:
        chosen, *settings = argument.split(",")
        demo, _, minutes = chosen.partition("=")
        row = measure(demo, float(minutes), settings, runs)
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / "demos.json"
        rows = json.loads(path.read_text("utf-8")) if path.exists() else []
        rows = [each for each in rows if each["command"] != row["command"]]
        rows = sorted([*rows, row], key=lambda each: (each["demo"], each["minutes"]))
        path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
        (RESULTS / "demos.md").write_text(table(rows), "utf-8")


if __name__ == "__main__":
    main()
