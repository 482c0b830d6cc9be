"""The memory of training, estimated and measured: python benchmarks/memory.py [FOLDER]

Each demo's recipe trains for some steps in a process of its own, in FOLDER (default: a temporary one), and
its peak is compared with what `headway inspect` says before. Figures go to benchmarks/results/memory.json and
memory.md.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import machine

from headway.demos.run import DEMOS
from headway.overview import memory_of
from headway.recipe import read_recipe

RESULTS = Path(__file__).parent / "results"
STEPS = 100


def peak(recipe: str, folder: Path) -> int:
    """The largest resident set of a training of some steps, in bytes."""
    settings = ["stop.minutes=0", f"stop.steps={STEPS}", "training.validate_every=50"]
    command = [sys.executable, "-m", "headway", "train", recipe, *settings]
    process = subprocess.Popen(command, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if sys.argv[1:] else temporary).absolute()
        for name, demo in DEMOS.items():
            data = folder / "runs" / f"demo-{name}-data"
            data.mkdir(parents=True, exist_ok=True)
            demo.write(data)
            estimated, measured = memory_of(read_recipe(demo.recipe, [])).total, peak(demo.recipe, folder)
            row = {"recipe": demo.recipe, "estimated": estimated, "measured": measured}
            rows.append({**row, "ratio": round(estimated / measured, 3)})
    content = {"steps": STEPS, "rows": rows, "machine": machine()}
    (RESULTS / "memory.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    lines = [
        "# Memory of training: as `headway inspect` estimates it, and its peak",
        "",
        "Made by `python benchmarks/memory.py`; MiB, the largest resident set of the whole process.",
        "",
        "| recipe | estimated | measured | ratio |",
        "| --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        estimated, measured = (f"{row[key] / 2**20:,.0f}" for key in ("estimated", "measured"))
        lines.append(f"| {row['recipe']} | {estimated} | {measured} | {row['ratio']:.2f} |")
    (RESULTS / "memory.md").write_text("\n".join([*lines, ""]), "utf-8")


if __name__ == "__main__":
    main()
