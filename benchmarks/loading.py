"""From a model folder to a model: python benchmarks/loading.py [--model FOLDER] [--data FOLDER] [--rounds N]

Whole processes in turn, each of which imports its library and opens the same weights in that library's own
format: Headway, `transformers`, CTranslate2. Without MODEL the weights are random, in the shape of the work
`small`. Figures go to benchmarks/results/loading.json and .md, and into docs/speed.md.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from machine import machine
from publish import parsed, parser_of, publish, where
from side_by_side import quartiles, ratio, shown
from works import pairs, workplace

from decoding import bundle_of, write_task

ROUNDS = 7
PROGRAMS = {
    "Headway": "import headway; opened = headway.load; place = 'headway'",
    "transformers": (
        "import transformers; place = 'transformers'; "
        "opened = transformers.AutoModelForSeq2SeqLM.from_pretrained"
    ),
    "CTranslate2": "import ctranslate2; opened = ctranslate2.Translator; place = 'ctranslate2-float32'",
}
CLOCKED = """
import json, sys, time
start = time.perf_counter()
{imports}
ready = time.perf_counter()
opened(sys.argv[1] + "/" + place)
print(json.dumps({{"imports": ready - start, "opening": time.perf_counter() - ready}}))
"""


def turn(name: str, folder: Path) -> dict[str, float]:
    """Seconds of one process: its imports, the opening of the model, and all of it."""
    program = CLOCKED.format(imports=PROGRAMS[name])
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "process": time.perf_counter() - start}


def measure(folder: Path, rounds: int) -> dict[str, list[dict[str, float]]]:
    """In turn, after one process each that warms the disk."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in PROGRAMS}
    for number in range(rounds + 1):
        for name, several in found.items():
            taken = turn(name, folder)
            if number:
                several.append(taken)
    return found


def lines_of(found: dict[str, Any]) -> list[str]:
    lines = [
        "| library | imports, s | opening, s | whole process, s | Headway is as fast times |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in found["rows"]:
        cells = [f"{row[key]['median']:.2f}" for key in ("imports", "opening", "process")]
        faster = "" if row["name"] == "Headway" else shown(row["headway_is_faster"])
        lines.append(f"| {row['name']} | {' | '.join(cells)} | {faster} |")
    return [
        *lines,
        "",
        f"Medians of {found['rounds']} processes each, in turn, files in the disk's cache; the last "
        f"column compares whole processes. Model: {found['model']}. {where(found['machine'])}",
    ]


def main() -> None:
    parser = parser_of(__doc__, ROUNDS)
    parser.add_argument("--model", type=Path, help="a model or run folder of an encoder-decoder")
    options = parsed(parser)
    with workplace(None) as folder:
        lines = pairs(options.data, folder)
        bundle = bundle_of(options.model, lines, quick=options.quick)
        write_task(bundle, ["text"], folder, forced=True, small=True)
        runs = measure(folder, 1 if options.quick else options.rounds)
    ours = [1 / each["process"] for each in runs["Headway"]]
    rows = [
        {
            "name": name,
            **{key: quartiles([each[key] for each in several]) for key in several[0]},
            "headway_is_faster": ratio(ours, [1 / each["process"] for each in several]),
        }
        for name, several in runs.items()
    ]
    found = {
        "model": options.model.name if options.model else "random weights",
        "quick": options.quick,
        "rounds": len(ours),
        "rows": rows,
        "machine": machine(),
    }
    table = lines_of(found)
    print("\n".join(table))
    publish("loading", "Opening a model", found, table, options.out)


if __name__ == "__main__":
    main()
