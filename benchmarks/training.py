"""Training beside others: python benchmarks/training.py WORK [--data FOLDER] [--rounds N] [--quick]

WORK is small (encoder-decoder, d_model 256, 4+4 layers), base (the paper's), masked (encoder, 4 layers) or
chars (seconds to a loss). All contenders get the same batches in turn, in processes of their own. FOLDER
holds `*.train.tsv`, for masked `*.train.txt`, for chars `input.txt`; without it text of the extra `demo` is
used.
Figures go to benchmarks/results/training-WORK.json and .md, and into docs/speed.md.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from chars import chars
from machine import machine
from matrix_peak import has_matrix_units, matrix_peak
from model_flops import training_flops
from publish import parsed, parser_of, publish, where
from side_by_side import Contender, Post, contest, quartiles, ratio, rounded, shown
from works import (
    Work,
    batches_of,
    lengths,
    read_work,
    workplace,
    write_for_peers,
    write_work,
)

from headway.batch import NO_LABEL, Batch
from headway.data.loader import Loader
from headway.data.objectives import Objective
from headway.data.token_file import TokenFile
from headway.run_folder import RunFolder
from headway.trainer import Trainer
from headway.training.distributed import ALONE
from headway.training.loss import token_loss

WINDOWS = {"small": 4, "base": 1, "masked": 6}
"""Batches of one window."""
ROUNDS = 5
OURS = "Headway"
PEERS = Path(__file__).with_name("peers.py")


class OverError(Exception):
    """Ends a training that has been timed."""


class Windows(Loader):
    """Batches of a training that waits before each window until it is told to go on."""

    def __init__(self, loader: Loader, count: int, post: Post, about: Callable[[], dict[str, Any]]) -> None:
        super().__init__(loader.text, loader.objective, loader.config, seed=loader.seed)
        self.count, self.post, self.about = count, post, about

    def epoch(
        self, number: int, start: int = 0, progress: Callable[[int], float] | None = None
    ) -> Iterator[list[Batch]]:
        """Who trains comes back for a batch when the step before is done: so the last step is timed, too."""
        steps = self._endless(progress)
        self.post.tell(self.about())
        for _ in self.post.orders():
            begun = time.perf_counter()
            for _ in range(self.count):
                yield next(steps)
            self.post.tell({"seconds": time.perf_counter() - begun})
        raise OverError

    def _endless(self, progress: Callable[[int], float] | None) -> Iterator[list[Batch]]:
        epoch = 0
        while True:
            yield from super().epoch(epoch, 0, progress)
            epoch += 1


class TimedTrainer(Trainer):
    """The trainer of `headway train`; only its batches come when they are asked for."""

    def __init__(self, work: Work, count: int, post: Post) -> None:
        self.post, self.count = post, count
        folder = RunFolder(work.folder / f"run-{time.monotonic_ns()}")
        folder.path.mkdir()
        super().__init__(folder, work.recipe, work.prepared, lambda _: None, ALONE)

    def _loader(self, text: TokenFile, objective: Objective) -> Loader:
        loader = super()._loader(text, objective)
        if text is not self.prepared.train:
            return loader
        return Windows(loader, self.count, self.post, self.about)

    def about(self) -> dict[str, Any]:
        """What it trains, and its loss before: peers with the same weights have the same."""
        self.model.eval()
        with torch.no_grad():
            loss = token_loss(self.model, next(Loader.epoch(self.train_batches, 0))[0])
        self.model.train()
        return {
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "first_loss": round(float(loss.total) / int(loss.labels), 4),
            "precision": self.precision,
            "attention": self.state.counters.attention,
        }


def train_here(folder: Path, count: int) -> None:
    """Headway's own contender."""
    post = Post()
    with suppress(OverError):
        TimedTrainer(read_work(folder), count, post).run()


def contenders(name: str, folder: Path, count: int, python: str) -> list[Contender]:
    def peer(kind: str) -> list[str]:
        return [python, str(PEERS), kind, str(folder), str(count)]

    ours = [sys.executable, __file__, name, "--contender", str(folder), "--window", str(count)]
    kind = "bert" if name == "masked" else "marian"
    title = {"marian": "MarianMTModel", "bert": "BertForMaskedLM"}[kind]
    found = [Contender(OURS, ours), Contender(title, peer(kind))]
    if has_matrix_units():
        found.append(Contender(f"{title}, bf16, eager", peer(kind), {"PEER_BF16": "1"}))
    if name != "masked":
        found.append(Contender("torch.nn.Transformer", peer("torch.nn.Transformer")))
    return found


def window_sizes(work: Work, batches: list[Batch], count: int) -> list[dict[str, int]]:
    """What each window holds: labels, real tokens on both sides, operations."""
    found = []
    for start in range(0, len(batches), count):
        labels, tokens, flops = 0, 0, 0
        for batch in batches[start : start + count]:
            predicted = int((batch.labels != NO_LABEL).sum())
            decoder = None if work.recipe.model.architecture == "encoder" else batch.labels
            targets, sources = lengths(batch.inputs, decoder), lengths(batch.source)
            labels, tokens = labels + predicted, tokens + sum(targets) + sum(sources)
            flops += training_flops(work.recipe.model, targets, sources, predicted)
        found.append({"labels": labels, "tokens": tokens, "flops": flops})
    return found


def measure(name: str, data: Path | None, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    work = write_work(name, data, folder, quick=options.quick)
    count = options.window or (1 if options.quick else WINDOWS[name])
    batches = batches_of(work, count * (options.rounds + 1))
    write_for_peers(work, batches)
    sizes = window_sizes(work, batches, count)[1:]
    several = contenders(name, folder, count, options.python or sys.executable)
    peaks: dict[str, list[float]] = {"float32": [], "bfloat16": []}

    def look_at_the_machine() -> None:
        for kind, values in peaks.items():
            values.append(matrix_peak(getattr(torch, kind)))

    left_out = contest(several, options.rounds, between=look_at_the_machine)
    rows = []
    ours = [size["labels"] / w["seconds"] for size, w in zip(sizes, several[0].windows["all"], strict=True)]
    for each in several:
        if each.name in left_out:
            continue
        seconds = [window["seconds"] for window in each.windows["all"]]
        precision = (
            "bfloat16" if each.environment.get("PEER_BF16") else each.about.get("precision", "float32")
        )
        speed = {
            key: [size[key] / taken for size, taken in zip(sizes, seconds, strict=True)] for key in sizes[0]
        }
        peak = quartiles(peaks[precision])["median"]
        rows.append(
            {
                "name": each.name,
                "labels_per_second": quartiles(speed["labels"]),
                "tokens_per_second": quartiles(speed["tokens"]),
                "share_of_peak": rounded(quartiles(speed["flops"])["median"] / peak, 3),
                "headway_is_faster": ratio(ours, speed["labels"]),
                "peak_mib": each.peak_mib,
                "about": each.about,
            }
        )
    return {
        "work": name,
        "text": data.name if data else "of the extra `demo`",
        "quick": options.quick,
        "rounds": options.rounds,
        "batches_of_a_window": count,
        "gigaflops_of_matrices": {k: round(quartiles(v)["median"] / 1e9, 1) for k, v in peaks.items()},
        "contenders": rows,
        "left_out": left_out,
        "machine": machine(),
    }


HEADER = ["training", "target tokens/s", "all tokens/s", "of the peak", "MiB", "Headway is as fast times"]


def lines_of(found: dict[str, Any]) -> list[str]:
    lines = [f"| {' | '.join(HEADER)} |", f"| --- |{' ---: |' * (len(HEADER) - 1)}"]
    for row in found["contenders"]:
        speed = row["labels_per_second"]
        cells = [
            f"{row['name']} ({row['about']['precision']})",
            f"{speed['median']:,.0f} ({speed['q1']:,.0f}–{speed['q3']:,.0f})",
            f"{row['tokens_per_second']['median']:,.0f}",
            f"{row['share_of_peak']:.0%}",
            f"{row['peak_mib']:,.0f}",
            shown(row["headway_is_faster"]) if row is not found["contenders"][0] else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    peak = found["gigaflops_of_matrices"]
    units = "has" if has_matrix_units() else "has no"
    return [
        *lines,
        "",
        f"Median and quartiles of {found['rounds']} windows of {found['batches_of_a_window']} batches, all "
        f"contenders in turn; padding counts as nothing. Text: {found['text']}. Matrix products reach "
        f"{peak['float32']:,.0f} GFLOP/s in float32 and {peak['bfloat16']:,.0f} in bfloat16; the processor "
        f"{units} matrix units for the latter. {where(found['machine'])}",
        *(f"\nLeft out: {name} ({reason})." for name, reason in found["left_out"].items()),
    ]


def main() -> None:
    parser = parser_of(__doc__, 0)
    parser.add_argument("work", choices=[*WINDOWS, "chars"])
    parser.add_argument("--window", type=int, default=0, help="batches of a window")
    parser.add_argument("--work-folder", type=Path, help="where text and batches are kept; default: nowhere")
    parser.add_argument("--python", help="the Python of another environment, for the peers")
    parser.add_argument("--contender", type=Path, help=argparse.SUPPRESS)
    options = parsed(parser)
    if options.contender:
        train_here(options.contender, options.window)
        return
    with workplace(options.work_folder) as folder:
        if options.work == "chars":
            options.rounds = options.rounds or (1 if options.quick else 2)
            found, lines = chars(options.data, folder, options.rounds, options.python, quick=options.quick)
        else:
            options.rounds = options.rounds or (2 if options.quick else ROUNDS)
            found = measure(options.work, options.data, folder, options)
            lines = lines_of(found)
    print("\n".join(lines))
    publish(f"training-{options.work}", f"Training: {options.work}", found, lines, options.out)


if __name__ == "__main__":
    main()
