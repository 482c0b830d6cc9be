"""Table 1 of the paper measured: python benchmarks/complexity.py

The time of one layer, forward and backward, over the length n of the text and the width d: self-attention
whole, its kernel alone and in a window, a recurrent and two convolutional layers, timed in turn, several
rounds in one run. What is counted instead: multiplications, the operations that must follow one another, and
the steps from the first position to the last. Results go to benchmarks/results/complexity.json and
complexity.md, into docs/complexity.md and a figure. `--quick` takes seconds, and needs `--out FOLDER`.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from layers import KINDS, Kind, longest_chain, steps_between
from machine import machine
from marks import markdown, put
from torch import Tensor

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "complexity.md"
FIGURE = ROOT / "docs" / "images" / "complexity.svg"
PICTURE = "![Time of a layer over the length of a text, and over the width](images/complexity.svg)"
MODES = {"forward": "forward", "training": "forward and backward"}
Seconds = dict[str, dict[str, dict[str, list[float]]]]
"""Of each layer, mode and cell "n,d" one time a round."""


@dataclass(frozen=True)
class Settings:
    """Sizes and repetitions."""

    lengths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    rounds: int = 5
    at_least: float = 0.01
    """Seconds of one timing: what is quicker is repeated."""
    fitted_from: int = 256
    """Exponents are fitted over lengths from here on, where the work outweighs the calls."""
    counted: tuple[int, ...] = (9, 17, 33)
    """Lengths at which dependences are counted."""

    @property
    def cells(self) -> list[tuple[int, int]]:
        return [(n, d) for n in self.lengths for d in self.widths]


QUICK = Settings(lengths=(16, 32), widths=(16, 32), rounds=2, at_least=0.0, fitted_from=16, counted=(5, 9))


def task(kind: Kind, n: int, d: int, mode: str) -> Callable[[], None]:
    """A call that computes one layer on a text of n positions."""
    torch.manual_seed(0)
    layer = kind.build(n, d)
    x = torch.randn(1, n, d, requires_grad=mode == "training")

    def forward() -> None:
        with torch.no_grad():
            layer(x)

    def training() -> None:
        out: Tensor = layer(x)
        out.backward(torch.ones_like(out))

    return training if mode == "training" else forward


def clock(call: Callable[[], None], times: int) -> float:
    """Seconds of one call, the mean of several in a row."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def measure(settings: Settings) -> Seconds:
    """The times of all layers, which take turns in every round (Paper §4)."""
    found: Seconds = {}
    for turn in range(settings.rounds):
        for n, d in settings.cells:
            for mode in MODES:
                for name, kind in KINDS.items():
                    call = task(kind, n, d, mode)
                    call()  # what is made at first is not timed
                    once = clock(call, 1)
                    times = math.ceil(settings.at_least / max(once, 1e-7))
                    cell = found.setdefault(name, {}).setdefault(mode, {}).setdefault(f"{n},{d}", [])
                    cell.append(clock(call, times) if times > 1 else once)
        print(f"round {turn + 1} of {settings.rounds}", file=sys.stderr, flush=True)
    return found


def exponents(values: Mapping[tuple[int, int], float]) -> tuple[float, float]:
    """a and b of n^a · d^b, the plane through the logarithms that is nearest by least squares."""
    rows = np.array([[1.0, math.log(n), math.log(d)] for n, d in values])
    heights = np.array([math.log(value) for value in values.values()])
    _, a, b = np.linalg.lstsq(rows, heights, rcond=None)[0].tolist()
    return a, b


def medians(cells: Mapping[str, Sequence[float]]) -> dict[tuple[int, int], float]:
    found = {}
    for cell, times in cells.items():
        n, d = cell.split(",")
        found[int(n), int(d)] = statistics.median(times)
    return found


def counted(settings: Settings) -> dict[str, dict[str, list[int]]]:
    """Of each layer, at each length: operations in sequence, and steps from first to last (Paper §4)."""
    return {
        name: {
            "sequential": [longest_chain(kind, n) for n in settings.counted],
            "path": [steps_between(kind, n) for n in settings.counted],
        }
        for name, kind in KINDS.items()
    }


def exponent_table(seconds: Seconds, settings: Settings) -> str:
    """The paper's powers of n and d, those of the operations counted, and those of the times."""
    lines = []
    for name, kind in KINDS.items():
        large = [(n, d) for n, d in settings.cells if n >= settings.fitted_from]
        fits = [exponents({(n, d): kind.products(n, d) for n, d in large})]
        fits += [
            exponents({cell: value for cell, value in medians(seconds[name][mode]).items() if cell in large})
            for mode in MODES
        ]
        shown = [f"n^{a:.2f} · d^{b:.2f}" for a, b in fits]
        lines.append([name, kind.paper, *shown])
    header = ["layer", "paper, Table 1", "multiplications", *(f"time, {mode}" for mode in MODES.values())]
    return markdown(header, lines)


def time_table(seconds: Seconds, settings: Settings) -> str:
    """Milliseconds of forward and backward with quartiles, at every length and the middle width."""
    d = settings.widths[len(settings.widths) // 2]
    lines = []
    for name in KINDS:
        cells = [seconds[name]["training"][f"{n},{d}"] for n in settings.lengths]
        lines.append([name, *(_spread(cell) for cell in cells)])
    header = [f"forward and backward, ms, d = {d}", *(f"n = {n}" for n in settings.lengths)]
    return markdown(header, lines, right=range(1, len(header)))


def _spread(times: Sequence[float]) -> str:
    """Median and quartiles in milliseconds, three digits each."""
    low, middle, high = (1e3 * part for part in statistics.quantiles(times, n=4, method="inclusive"))
    digits = max(0, 2 - math.floor(math.log10(max(middle, 1e-9))))
    return f"{middle:.{digits}f} [{low:.{digits}f}–{high:.{digits}f}]"


def crossing_table(seconds: Seconds, settings: Settings) -> str:
    """From which length on self-attention is the slower one, by the median of forward and backward."""
    first = next(iter(KINDS))
    lines = []
    for other in ("recurrent", "convolutional"):
        row: list[object] = [other]
        for d in settings.widths:
            mine, theirs = (medians(seconds[name]["training"]) for name in (first, other))
            slower = [n for n in settings.lengths if mine[n, d] > theirs[n, d]]
            lasting = [n for n in slower if all(each in slower for each in settings.lengths if each >= n)]
            row.append(f"{lasting[0]:,}" if lasting else "never here")
        lines.append(row)
    header = [f"{first} is slower than … from n =", *(f"d = {d}" for d in settings.widths)]
    return markdown(header, lines, right=range(1, len(header)))


def count_table(counts: Mapping[str, Mapping[str, Sequence[int]]], settings: Settings) -> str:
    """Operations in sequence and path lengths, counted at a few lengths, beside the paper's."""
    lengths = ", ".join(str(n) for n in settings.counted)
    lines = [
        [
            name,
            kind.sequential,
            ", ".join(map(str, counts[name]["sequential"])),
            kind.path,
            ", ".join(map(str, counts[name]["path"])),
        ]
        for name, kind in KINDS.items()
    ]
    header = ["layer", "operations in sequence, paper", f"counted at n = {lengths}"]
    return markdown([*header, "longest path, paper", f"counted at n = {lengths}"], lines)


def draw(seconds: Seconds, settings: Settings, path: Path) -> None:
    """Forward and backward over n at the middle width, and over d at the middle length."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    d, n = (sizes[len(sizes) // 2] for sizes in (settings.widths, settings.lengths))
    ways = (
        (f"length n, at width d = {d}", settings.lengths, [f"{each},{d}" for each in settings.lengths]),
        (f"width d, at length n = {n}", settings.widths, [f"{n},{each}" for each in settings.widths]),
    )
    with pyplot.rc_context({"svg.hashsalt": "headway", "svg.fonttype": "none", "font.size": 9}):
        figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True, facecolor="white")
        for axis, (label, sizes, cells) in zip(axes, ways, strict=True):
            for name, marker in zip(KINDS, "os^Dvxp", strict=False):
                times = [1e3 * np.array(seconds[name]["training"][cell]) for cell in cells]
                low, middle, high = np.array([np.quantile(each, (0.25, 0.5, 0.75)) for each in times]).T
                axis.fill_between(sizes, low, high, alpha=0.2, linewidth=0)
                axis.plot(sizes, middle, marker=marker, markersize=4, linewidth=1.2, label=name)
            axis.set(xscale="log", yscale="log", xlabel=label, facecolor="white")
            axis.set_xticks(sizes, [str(size) for size in sizes])
            axis.minorticks_off()
            axis.grid(color="0.9")
        axes[0].set_ylabel("milliseconds, forward and backward")
        axes[0].legend(frameon=False, fontsize=8)
        figure.savefig(path, bbox_inches="tight", pad_inches=0.15, metadata={"Date": None})
        pyplot.close(figure)


def report(content: Mapping[str, Any], settings: Settings, out: Path, page: Path | None) -> None:
    """Write the tables beside the results, and into the page with its figure."""
    seconds, where = content["seconds"], content["machine"]
    tables = {
        "exponents": exponent_table(seconds, settings),
        "times": time_table(seconds, settings),
        "crossing": crossing_table(seconds, settings),
        "counts": count_table(content["counts"], settings),
    }
    note = (
        f"Medians of {settings.rounds} rounds, in brackets the quartiles; float32, one text at a time, "
        f"threads: {content['threads']}; exponents fitted over n ≥ {settings.fitted_from} and all d. "
        f"{where['processor']}, torch {where['torch']}."
    )
    title, made = "# Table 1 of the paper, measured", "Made by `python benchmarks/complexity.py`."
    (out / "complexity.md").write_text("\n\n".join([title, made, *tables.values(), note, ""]), "utf-8")
    draw(seconds, settings, out / "complexity.svg" if page is None else FIGURE)
    if page is not None:
        tables["exponents"] += f"\n\n{note}"
        tables["times"] = f"{PICTURE}\n\n{tables['times']}"
        for name, table in tables.items():
            put(page, name, table)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Table 1 of the paper, measured.")
    parser.add_argument("--out", type=Path, help="where the results go, instead of into the repository")
    parser.add_argument("--quick", action="store_true", help="a smoke run; needs --out")
    given = parser.parse_args(arguments)
    if given.quick and given.out is None:
        parser.error("--quick needs --out FOLDER, for its figures mean nothing")
    settings = QUICK if given.quick else Settings()
    out: Path = given.out or ROOT / "benchmarks" / "results"
    out.mkdir(parents=True, exist_ok=True)
    content = {
        "settings": asdict(settings),
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "counts": counted(settings),
        "seconds": measure(settings),
    }
    (out / "complexity.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    report(content, settings, out, None if given.out else PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
