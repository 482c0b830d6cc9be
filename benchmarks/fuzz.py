"""Readers under attack: python benchmarks/fuzz.py TARGET --seconds N --seed S; `all` for one after another.

Atheris, which sees what lines and branches of our code an input reaches, changes valid files for so long. An
input must be read or refused with a UserError, within 10 seconds and 2 GiB. Figures go to
benchmarks/results/fuzz.json, fuzz.md and docs/reliability.md, inputs that break a reader to --keep. Needs:
pip install atheris.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "reliability.md"
LONGEST, MOST_MEMORY, LARGEST = 10, 2048, 65536
"""Seconds, MiB and bytes of one input."""
FORMED = 0.6
"""The share of inputs that keep the form of their file, such as JSON; others are changed byte by byte."""
QUIET = {"OMP_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}


def attack(name: str) -> None:
    """Run inside a process of its own, which libFuzzer ends."""
    import atheris

    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=["headway"]):
        from tests import hostile, mutation

        from headway.errors import UserError

    import torch

    torch.set_num_threads(1)
    folder = Path(os.environ["FUZZ_FOLDER"])
    target = hostile.TARGETS[name](folder)
    corpus, words = folder / "corpus", folder / "words.txt"
    corpus.mkdir()
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in hostile.WORDS)
    words.write_text("".join(f'"{word}"\n' for word in quoted), "ascii")

    keep = Path(os.environ["FUZZ_KEEP"])

    def one(content: bytes) -> None:
        try:
            target.read(content)
        except UserError:
            pass
        except Exception as error:  # kept once for each place that raises it, and the attack goes on
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{name}-{type(error).__name__}-{Path(frame.filename).stem}-{frame.lineno}"
            (keep / f"{place}.input").write_bytes(content)
            (keep / f"{place}.txt").write_text("".join(traceback.format_exception(error)), "utf-8", "replace")

    def mutate(content: bytes, most: int, seed: int) -> bytes:
        draw = random.Random(seed)
        found = mutation.changed(content, draw) if draw.random() < FORMED else None
        return found if found is not None and len(found) <= most else atheris.Mutate(content, most)

    atheris.Setup([sys.argv[0], *sys.argv[3:], f"-dict={words}", str(corpus)], one, custom_mutator=mutate)
    atheris.Fuzz()


def run(name: str, seconds: int, seed: int, keep: Path) -> dict[str, str | int | float]:
    """The figures of one target."""
    keep.mkdir(parents=True, exist_ok=True)
    for old in keep.glob(f"{name}-*"):
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="headway-fuzz-") as folder:
        flags = [
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-timeout={LONGEST}",
            f"-rss_limit_mb={MOST_MEMORY}",
            f"-max_len={LARGEST}",
            f"-artifact_prefix={keep / name}-",
            "-print_final_stats=1",
            "-len_control=0",
        ]
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, __file__, "--attack", name, *flags],
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "FUZZ_FOLDER": folder, "FUZZ_KEEP": str(keep), **QUIET},
        )
    said = done.stdout + done.stderr
    tried = re.search(r"number_of_executed_units: (\d+)", said)
    covered = re.findall(r"cov: (\d+)", said)
    if done.returncode:  # a hang, too much memory, or the process fell
        (keep / f"{name}-process.txt").write_text(said, "utf-8")
    broken = sorted(path.name for path in keep.glob(f"{name}-*.txt"))
    print(*broken, sep="\n", end="\n" if broken else "", file=sys.stderr)
    return {
        "target": name,
        "inputs": int(tried[1]) if tried else 0,
        "seconds": round(time.monotonic() - start, 1),
        "seed": seed,
        "branches": int(covered[-1]) if covered else 0,
        "crashes": len(broken),
    }


def write(found: list[dict[str, str | int | float]]) -> None:
    """Add to the figures of other targets what was found."""
    from machine import machine
    from marks import markdown, put

    path = RESULTS / "fuzz.json"
    before = json.loads(path.read_text("utf-8"))["targets"] if path.is_file() else []
    new = {each["target"] for each in found}
    kept = [each for each in before if each["target"] not in new]
    targets = sorted([*kept, *found], key=lambda each: str(each["target"]))
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps({"targets": targets, "machine": machine()}, indent=1) + "\n", "utf-8")
    lines = [
        "# Readers fed with damaged files",
        "",
        "Inputs that Atheris made up from valid ones, led by the branches of our code that they reach; each",
        f"was read or refused by name within {LONGEST} s and {MOST_MEMORY:,} MiB, or counts as a crash.",
        "",
    ]
    keys = ("inputs", "crashes", "branches", "seconds", "seed")
    rows = [(each["target"], *(f"{each[key]:,}" for key in keys)) for each in targets]
    table = markdown(("target", *keys), rows, right=(1, 2, 3, 4, 5))
    (RESULTS / "fuzz.md").write_text("\n".join([*lines, table]) + "\n", "utf-8")
    put(PAGE, "fuzz", table)


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from tests.hostile import TARGETS

    arguments = argparse.ArgumentParser(description="Feed a reader with damaged files.")
    arguments.add_argument("target", choices=[*TARGETS, "all"])
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    asked = arguments.parse_args()
    names = list(TARGETS) if asked.target == "all" else [asked.target]
    found = []
    for name in names:
        found.append(run(name, asked.seconds, asked.seed, asked.keep.resolve()))
        print(found[-1])
        write(found)
    sys.exit(any(each["crashes"] for each in found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--attack"]:
        attack(sys.argv[2])
    main()
