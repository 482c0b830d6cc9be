"""How long one waits: python benchmarks/startup.py MODEL TEXT, with a trained model and a text for it.

Whole processes are timed: `headway --help`, and the first prediction from a cold start. Figures go to
benchmarks/results/startup.json and startup.md.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import machine

RESULTS = Path(__file__).parent / "results"
RUNS = 11


def seconds(command: list[str], text: str) -> dict[str, float]:
    """Quartiles over several runs, after one that warms the disk."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(command, input=text, text=True, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    low, median, high = statistics.quantiles(times[1:], n=4)
    return {"q1": round(low, 3), "median": round(median, 3), "q3": round(high, 3)}


def main() -> None:
    model, text = sys.argv[1:3]
    headway = str(Path(sys.executable).with_name("headway"))
    found = {
        "headway --help": seconds([headway, "--help"], ""),
        "headway predict, first line": seconds([headway, "predict", model], text + "\n"),
    }
    content = {"runs": RUNS, "seconds": found, "machine": machine()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "startup.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    lines = [
        "# Start-up, whole processes, seconds",
        "",
        "| command | median | quartiles |",
        "| --- | ---: | ---: |",
    ]
    lines += [f"| `{name}` | {t['median']:.2f} | {t['q1']:.2f}–{t['q3']:.2f} |" for name, t in found.items()]
    where = content["machine"]
    assert isinstance(where, dict)
    lines += ["", f"Machine: {where['processor']}, {where['cores']} cores, torch {where['torch']}.", ""]
    (RESULTS / "startup.md").write_text("\n".join(lines), "utf-8")


if __name__ == "__main__":
    main()
