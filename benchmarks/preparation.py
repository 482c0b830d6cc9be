"""What text costs before training: python benchmarks/preparation.py LINES FOLDER.

Makes up a corpus of so many lines in the folder, prepares it, kills that halfway, and lets two processes go
on with it at once; then starts training on what is prepared. Every stage is told with its time, its processor
time and the most memory it held, with and without mapped files. Beside it stands the tokenizers library alone
on a part of the same text. Figures go to benchmarks/results/preparation.json and preparation.md.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

RESULTS = Path(__file__).parent / "results"
WORDS = 60_000
AT_ONCE = 20_000
LIBRARY_LINES = 1_000_000
"""How many lines the library alone encodes: its speed depends on nothing else."""
MEBIBYTE = 1 << 20


def write_corpus(path: Path, lines: int) -> None:
    """Lines of made-up words, as frequent as words are (Zipf)."""
    random = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = np.array(
        ["".join(random.choice(letters, size)) for size in random.integers(2, 11, WORDS)], object
    )
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, lines, AT_ONCE):
            sizes = random.integers(5, 15, min(AT_ONCE, lines - start))
            chosen = words[np.minimum(random.zipf(1.2, sizes.sum()), WORDS) - 1].tolist()
            ends = np.cumsum(sizes).tolist()
            starts = [0, *ends[:-1]]
            pairs = zip(starts, ends, strict=True)
            file.writelines(" ".join(chosen[first:last]) + "\n" for first, last in pairs)


class Watch:
    """Tells of each stage of this process, on standard output, as a line of JSON."""

    def __init__(self) -> None:
        self.peaks = {"resident": 0, "anonymous": 0}
        self._began = time.perf_counter(), time.process_time()
        self._lock = threading.Lock()
        threading.Thread(target=self._look, daemon=True).start()

    def tell(self, stage: str) -> None:
        """The stage that has begun, and what the one before took."""
        now = time.perf_counter(), time.process_time()
        with self._lock:
            line = {"stage": stage, "seconds": now[0] - self._began[0], "cpu": now[1] - self._began[1]}
            print(json.dumps(line | self.peaks), flush=True)
            self.peaks = dict.fromkeys(self.peaks, 0)
        self._began = now

    def _look(self) -> None:
        while True:
            text = Path("/proc/self/status").read_text("utf-8")
            fields = dict(line.split(":", 1) for line in text.splitlines())
            with self._lock:
                for name, field in (("resident", "VmRSS"), ("anonymous", "RssAnon")):
                    self.peaks[name] = max(self.peaks[name], int(fields[field].split()[0]) << 10)
            time.sleep(0.02)


def prepare_here(folder: Path, watch: Watch) -> Any:
    """The prepared text; each message of the preparation is a stage."""
    from headway.data.corpus import DataConfig
    from headway.data.prepare import prepare
    from headway.text.tokenizer import TextConfig

    data = DataConfig(train=(str(folder / "text.txt"),), layout="lines")
    watch.tell("reading the file's hash")
    return prepare(data, TextConfig(), pairs=False, folder=folder / "data", seed=1, progress=watch.tell)


def start_here(folder: Path, watch: Watch) -> None:
    """The prepared text and the first batch of an epoch, as training starts."""
    from headway.data.loader import BatchConfig, Loader
    from headway.data.objectives import CausalObjective

    watch.tell("imports")
    prepared = prepare_here(folder, watch)
    watch.tell("first batch")
    loader = Loader(
        prepared.train, CausalObjective(prepared.tokenizers.target.special), BatchConfig(), seed=1
    )
    next(loader.epoch(0))
    watch.tell("done")
    print(json.dumps({"batches": loader.batches(0), "tokens": int(prepared.train.lengths.sum())}))


def library_here(folder: Path, watch: Watch) -> None:
    """The tokenizers library alone: lines of the file to ids, on all cores."""
    import tokenizers

    library = tokenizers.Tokenizer.from_file(str(folder / "data" / "tokenizer.json"))
    with (folder / "text.txt").open(encoding="utf-8") as file:
        lines = [line for line, _ in zip(file, range(LIBRARY_LINES), strict=False)]
    size = sum(len(line) for line in lines)
    watch.tell("encoding")
    for start in range(0, len(lines), 4096):
        library.encode_batch_fast(lines[start : start + 4096], add_special_tokens=False)
    watch.tell("done")
    print(json.dumps({"lines": len(lines), "bytes": size}))


JOBS = {"prepare": prepare_here, "start": start_here, "library": library_here}


@contextmanager
def child(job: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, __file__, "--job", job, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process


def told(process: subprocess.Popen[str], most: int | None = None) -> list[dict[str, Any]]:
    """What the process tells; it is killed where it has encoded `most` lines."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(json.loads(line))
        print(line, end="", flush=True)
        stage = lines[-1].get("stage", "")
        if most and stage.startswith("encoded") and int(stage.split()[1].replace(",", "")) >= most:
            process.kill()
    if process.wait() and not most:
        raise SystemExit(f"a process ended with status {process.returncode}")
    return lines


def stages(lines: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Times and peaks by stage; news of one stage are added up."""
    found: dict[str, dict[str, float]] = {}
    name = "start of Python"
    for line in lines:
        if "stage" in line:
            held = found.setdefault(name, {"seconds": 0.0, "cpu": 0.0, "resident": 0, "anonymous": 0})
            for key in held:
                held[key] = held[key] + line[key] if key in ("seconds", "cpu") else max(held[key], line[key])
            if not line["stage"].startswith("encoded"):
                name = re.sub(r" in \S+;", ";", line["stage"])  # wherever it lies
    return found


def measure(lines: int, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "text.txt"
    if not text.exists():
        write_corpus(text, lines)
    shutil.rmtree(folder / "data", ignore_errors=True)
    with child("prepare", folder) as process:
        first = told(process, most=lines // 2)
    kept = len(list((folder / "data" / "encoding").glob("*.train.block")))
    with child("prepare", folder) as one, child("prepare", folder) as other:
        second, waiting = told(one), told(other)
    with child("start", folder) as process:
        started = told(process)
    with child("library", folder) as process:
        alone = told(process)
    return {
        "lines": lines,
        "bytes": text.stat().st_size,
        "tokens": started[-1]["tokens"],
        "disk": sum(path.stat().st_size for path in (folder / "data").iterdir()),
        "blocks_kept": kept,
        "until_killed": stages(first),
        "gone_on_with": stages(second),
        "beside_it": stages(waiting),
        "training_start": stages(started),
        "library": alone[-1] | stages(alone)["encoding"],
        "load": os.getloadavg(),
        "machine": machine(),
    }


def table(found: dict[str, Any]) -> list[str]:
    """A page for people."""
    size, lines, millions = found["bytes"], found["lines"], found["tokens"] / 1e6
    rows = [
        f"# Preparation of {lines:,} lines ({size / 1e9:.2f} GB, {millions:,.0f} million tokens)",
        "",
        "| stage | seconds | processor seconds | peak, MiB | of it no mapped file, MiB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    titles = {
        "until_killed": "",
        "gone_on_with": "after kill -9: ",
        "beside_it": "a process beside it: ",
        "training_start": "training starts: ",
    }
    for key, title in titles.items():
        for name, s in found[key].items():
            if s["seconds"] >= 0.05:
                rows.append(
                    f"| {title}{name} | {s['seconds']:,.1f} | {s['cpu']:,.1f} | "
                    f"{s['resident'] / MEBIBYTE:,.0f} | {s['anonymous'] / MEBIBYTE:,.0f} |"
                )
    library = found["library"]
    rate = library["lines"] / library["seconds"], library["lines"] / library["cpu"]
    where = found["machine"]
    rows += [
        "",
        f"The tokenizers library alone encodes {rate[0]:,.0f} lines "
        f"({rate[0] * size / lines / 1e6:.1f} MB) a second, {rate[1]:,.0f} lines a second of processor time. "
        f"On disk: {found['disk'] / 1e9:.2f} GB.",
        "",
        f"Machine: {where['processor']}, {where['cores']} cores (shared: load {found['load'][0]:.1f}).",
        "",
    ]
    return rows


def main() -> None:
    if sys.argv[1] == "--job":
        watch = Watch()
        watch.tell("imports")
        JOBS[sys.argv[2]](Path(sys.argv[3]), watch)
        watch.tell("done") if sys.argv[2] == "prepare" else None
        return
    found = measure(int(sys.argv[1]), Path(sys.argv[2]))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "preparation.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (RESULTS / "preparation.md").write_text("\n".join(table(found)), "utf-8")


if __name__ == "__main__":
    main()
