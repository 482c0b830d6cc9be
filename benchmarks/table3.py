"""Table 3 of the paper (§6.2) in miniature: python benchmarks/table3.py [--workers 2]

Each row's variation is trained on the pronunciation task for the same number of steps, the base model with
several seeds, and judged on words that no training has seen. A row is written to
benchmarks/results/table3.json as it ends. Started again, the command skips what is there, goes on with rows
that were interrupted from their checkpoints in runs/table3, and writes the tables anew. `--quick` does all of
it with models of no use, in seconds, and needs `--out FOLDER`.
"""

import argparse
import hashlib
import json
import math
import os
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree
from typing import Any

import torch
from machine import machine
from marks import markdown, put
from table3_rows import BASE_SEEDS, ROWS, SHAPE, Row

from headway.api import load
from headway.demos.division import ranked_by_hash
from headway.demos.installed import installed_text
from headway.demos.pronounce import FILE, PACKAGE, PRONOUNCE, read_dictionary, write_pairs
from headway.launch import go_on
from headway.model.presets import preset_config
from headway.overview import PAPER_MILLIONS
from headway.recipe import Recipe, resolve
from headway.run import say_on_stderr, start
from headway.run_folder import RunFolder
from headway.sealed_folder import write_whole

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "table-3.md"
LONGEST = 64
"""Letters or phonemes of a word: rows of the table of learned positions."""


@dataclass(frozen=True)
class Settings:
    """What all rows have in common."""

    words: int = 16_000
    """That are learned from, chosen by hash; those held out are the demo's."""
    held_out: int = 2_000
    steps: int = 1_500
    tokens: int = 800
    warmup: int = 400
    narrower: int = 8
    """What the paper's d_model, d_ff and d_k are divided by."""
    shallower: int = 2
    """What the paper's numbers of layers are divided by."""

    @property
    def name(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:8]


QUICK = Settings(words=60, held_out=10, steps=3, tokens=200, warmup=2, narrower=16)


def scaled(preset: str, settings: Settings) -> dict[str, Any]:
    """The `model` table of a recipe: the shape of a row of Paper §6.2, scaled down by the rule."""
    paper, by = preset_config(preset, 1000), settings.narrower
    attention = {"num_heads": paper.attention.num_heads}
    if paper.attention.d_key is not None:
        attention["d_key"] = paper.attention.d_key // by
    return {
        "encoder_layers": paper.encoder_layers // settings.shallower,
        "decoder_layers": paper.decoder_layers // settings.shallower,
        "d_model": paper.d_model // by,
        "d_ff": paper.d_ff // by,
        "attention": attention,
        "positions": {"kind": paper.positions.kind, "max_length": LONGEST},
    }


def recipe_of(row: Row, settings: Settings, data: Path) -> Recipe:
    """What the demo learns, by the paper's optimizer, schedule and regularization."""
    steps = settings.steps
    return resolve(
        {
            "preset": row.preset,
            "seed": row.seed,
            "model": scaled(row.preset, settings),
            "data": {
                "train": [str(data / PRONOUNCE.train)],
                "valid": [str(data / PRONOUNCE.test)],
                "layout": PRONOUNCE.layout,
                "cache": str(data / "encoded"),
            },
            "text": {
                "source": {"kind": "characters", "vocab_size": 200},
                "target": {"kind": "symbols", "vocab_size": 100},
            },
            "batch": {"tokens": settings.tokens},
            "schedule": {"warmup": settings.warmup},
            "stop": {"steps": steps},
            "training": {
                "label_smoothing": row.smoothing,
                "validate_every": steps,
                "save_every": min(steps, 250),
                "final": "last",
                "report_every": min(steps, 50),
                "samples": 0,
            },
            "search": {"max_ratio": 2.0, "max_extra": 10},
            "runtime": {"device": "cpu", "precision": "float32"},
        }
    )


def write_data(dictionary: Mapping[str, Sequence[str]], settings: Settings, folder: Path) -> None:
    """The words to learn from and those held out, unless they are there."""
    if folder.exists():
        return
    chosen = set(ranked_by_hash(dictionary)[: settings.held_out + settings.words])
    part = folder.with_name(f"{folder.name}.part")
    rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    some = {word: several for word, several in dictionary.items() if word in chosen}
    write_pairs(some, part, valid=0, test=settings.held_out)
    part.rename(folder)


def run_row(row: Row, settings: Settings, runs: Path) -> dict[str, Any] | None:
    """Train a row, or go on with it, and judge it; None if it was asked to stop."""
    folder = runs / settings.name / row.run
    say_on_stderr(f"--- {row.run}")
    if RunFolder(folder).exists:
        outcome = go_on(folder, say_on_stderr)
    else:
        outcome = start(recipe_of(row, settings, data_of(settings, runs)), folder, say_on_stderr)
    if outcome.exit_status:
        return None
    pipeline = load(folder, device="cpu")
    measures = PRONOUNCE.report(pipeline, data_of(settings, runs)).evaluation.systems["model"]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return {
        "row": row.name,
        "seed": row.seed,
        "parameters": sum(p.numel() for p in pipeline.bundle.model.parameters()),
        "perplexity": pipeline.bundle.meta.metrics["perplexity"],
        "errors": {each.name: [each.value, each.low, each.high] for each in measures},
        "epochs": max(line["epoch"] for line in lines if "epoch" in line),
    }


def data_of(settings: Settings, runs: Path) -> Path:
    return runs / settings.name / "data"


def finished(rows: Sequence[Row], settings: Settings, runs: Path, workers: int) -> Iterator[dict[str, Any]]:
    """The rows' results as they come, several trained at a time; ends early where a row was asked to stop."""
    if workers == 1:
        for row in rows:
            result = run_row(row, settings, runs)
            if result is None:
                return
            yield result
        return
    waiting, running, stopped = list(rows), set[Future[dict[str, Any] | None]](), False
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        while running or (waiting and not stopped):
            while waiting and len(running) < workers and not stopped:
                running.add(pool.submit(run_row, waiting.pop(), settings, runs))  # the largest first
            try:
                done, running = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:  # the workers hear it too, and save
                stopped = True
                continue
            for each in done:
                result = each.result()
                stopped = stopped or result is None
                if result is not None:
                    yield result


STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5 % quantiles of Student's t for 1, 2, … degrees of freedom."""


@dataclass(frozen=True)
class Figure:
    """One measure over all rows: the mean of each row's seeds, the paper's, and the noise between seeds."""

    better: int
    """Of the paper's measure: 1 = higher is better, -1 = lower is. Here lower is better in any case."""
    paper: Mapping[str, float]
    here: Mapping[str, Sequence[float]]

    def mean(self, row: str) -> float:
        return statistics.mean(self.here[row])

    def noise(self, first: str, second: str) -> float:
        """The largest difference that seeds alone make in 95 % of cases, by the spread of the base model."""
        base = self.here["base"]
        if len(base) < 2:
            return math.inf
        counts = 1 / len(self.here[first]) + 1 / len(self.here[second])
        return STUDENT[min(len(base) - 2, len(STUDENT) - 1)] * statistics.stdev(base) * math.sqrt(counts)

    def order(self, first: str, second: str) -> str:
        """Whether two rows stand in the paper's order."""
        difference = self.mean(first) - self.mean(second)
        near = abs(difference) <= self.noise(first, second)
        theirs = -self.better * (self.paper[first] - self.paper[second])
        if near:
            return "too close to tell"
        return "as in the paper" if difference * theirs > 0 else "other than in the paper"


def changes(row: Row, settings: Settings) -> str:
    """What a row changes of the base model: in the paper and, where it is another number, here."""
    if row.group == "base":
        return "base"
    vocabulary = {"vocab_size": 1000}
    paper, base = preset_config(row.preset, 1000), preset_config("table3-base", 1000)
    here = preset_config(row.preset, 1000, scaled(row.preset, settings) | vocabulary)
    found = []
    for name, value in SHAPE.items():
        if value(paper) != value(base):
            small = value(here)
            found.append(f"{name} {value(paper)}" + (f" → {small}" if small != value(paper) else ""))
    if row.smoothing != 0.1:
        found.append(f"ε_ls {row.smoothing}")
    return ", ".join(found)


def tables(content: Mapping[str, Any], settings: Settings) -> tuple[str, str]:
    """The rows beside the paper's, and for each group how many pairs stand in the paper's order."""
    rows = {row.name: row for row in ROWS}
    held: dict[str, list[dict[str, Any]]] = {}
    for result in content["rows"]:
        held.setdefault(result["row"], []).append(result)
    names = [name for name in rows if name in held]
    perplexity = Figure(
        -1,
        {name: rows[name].perplexity for name in names},
        {name: [each["perplexity"] for each in held[name]] for name in names},
    )
    errors = Figure(
        1,
        {name: rows[name].bleu for name in names},
        {name: [each["errors"]["word error rate"][0] for each in held[name]] for name in names},
    )
    lines = []
    for name in names:
        row, figures = rows[name], (perplexity, errors)
        own = row.group == "base"
        verdicts = ["" if own else figure.order(name, "base") for figure in figures]
        spreads = [
            f" ± {figure.noise('base', 'base') / math.sqrt(2):.2g}" if own else "" for figure in figures
        ]
        lines.append(
            [
                "" if own or row.group == "big" else row.group,
                "big: " + changes(row, settings) if row.group == "big" else changes(row, settings),
                f"{row.perplexity:.2f}",
                f"{perplexity.mean(name):.3f}{spreads[0]}",
                verdicts[0],
                f"{row.bleu:.1f}",
                f"{errors.mean(name):.1f}{spreads[1]}",
                verdicts[1],
                PAPER_MILLIONS.get(row.preset, "") if row.preset != "table3-base" or own else "",
                f"{held[name][0]['parameters'] / 1e3:,.0f}",
            ]
        )
    heads = ["perplexity, paper", "here", "beside the base", "BLEU, paper", "% words wrong, here"]
    header = ["", "what changes", *heads, "beside the base", "parameters, paper, 10⁶", "here, 10³"]
    whole = markdown(header, lines, right=(2, 3, 5, 6, 8, 9))
    return whole, _orders(rows, names, perplexity, errors)


def _orders(rows: Mapping[str, Row], names: Sequence[str], *figures: Figure) -> str:
    """Pairs of rows of a group, the base model among them, that stand in the paper's order or not."""
    verdicts = ("as in the paper", "too close to tell", "other than in the paper")
    lines = []
    for group in ("A", "B", "C", "D", "E", "big", "all"):
        members = [name for name in names if rows[name].group in (group, "base") or group == "all"]
        for figure, measure in zip(figures, ("perplexity", "errors beside BLEU"), strict=True):
            found = [figure.order(*pair) for pair in combinations(members, 2)]
            counts = [found.count(verdict) for verdict in verdicts]
            lines.append([group, measure, len(found), *counts])
    return markdown(["rows", "measure", "pairs", *verdicts], lines, right=(2, 3, 4, 5))


def read(path: Path, settings: Settings) -> dict[str, Any]:
    """What was found before with these settings; nothing if there is none."""
    if path.exists():
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if content["settings"] == asdict(settings):
            return content
        say_on_stderr(f"{path}: holds rows of other settings; they are made anew")
    return {"settings": asdict(settings), "machine": machine(), "rows": []}


def with_seeds(rows: Sequence[Row], seeds: int) -> list[Row]:
    """The rows, and each of them with so many seeds."""
    more = [replace(row, seed=seed) for seed in range(2, seeds + 1) for row in rows if row.seed == 1]
    return list(dict.fromkeys([*rows, *more]))


def holds(content: Mapping[str, Any], row: Row) -> bool:
    """Whether the row was trained and judged with this seed."""
    return any((each["row"], each["seed"]) == (row.name, row.seed) for each in content["rows"])


def report(content: Mapping[str, Any], settings: Settings, out: Path, page: Path | None) -> None:
    """Write the tables beside the results, and into the page."""
    rows, orders = tables(content, settings)
    epochs, where = statistics.mean(row["epochs"] for row in content["rows"]), content["machine"]
    seeds = sum(row["row"] == "base" for row in content["rows"])
    note = (
        f"Perplexity a phoneme; ± and “too close to tell”: what seeds alone may make (95 %, {seeds} seeds of "
        f"the base model). {settings.steps:,} steps, {epochs:.1f} passes over {settings.words:,} words; "
        f"{settings.held_out:,} words held out. {where['processor']}, torch {where['torch']}."
    )
    parts = ["# Table 3 of the paper in miniature", "Made by `python benchmarks/table3.py`.", rows, orders]
    (out / "table3.md").write_text("\n\n".join([*parts, note, ""]), "utf-8")
    if page is not None:
        put(page, "table-3", f"{rows}\n\n{note}")
        put(page, "table-3-orders", orders)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Table 3 of the paper in miniature.")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="rows trained at a time")
    parser.add_argument(
        "--seeds", type=int, default=1, help=f"of each row; of the base model {BASE_SEEDS} or more"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/table3"))
    parser.add_argument("--out", type=Path, help="where the results go, instead of into the repository")
    parser.add_argument("--quick", action="store_true", help="a smoke run; needs --out")
    given = parser.parse_args(arguments)
    if given.quick and given.out is None:
        parser.error("--quick needs --out FOLDER, for its figures mean nothing")
    settings = QUICK if given.quick else Settings()
    out: Path = given.out or ROOT / "benchmarks" / "results"
    out.mkdir(parents=True, exist_ok=True)
    path = out / "table3.json"
    content = read(path, settings)
    rows = with_seeds(ROWS, given.seeds)
    missing = [row for row in rows if not holds(content, row)]
    if missing:
        write_data(read_dictionary(installed_text(PACKAGE, FILE)), settings, data_of(settings, given.runs))
    names = [row.name for row in ROWS]
    with suppress(KeyboardInterrupt):
        for result in finished(missing, settings, given.runs, given.workers):
            content["rows"].append(result)
            content["rows"].sort(key=lambda each: (names.index(each["row"]), each["seed"]))
            write_whole(path, json.dumps(content, indent=1) + "\n")
            say_on_stderr(f"{sum(holds(content, row) for row in rows)} of {len(rows)} rows are done")
    if not all(holds(content, row) for row in rows):
        say_on_stderr("stopped; the same command goes on")
        return 130
    report(content, settings, out, None if given.out else PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
