"""Runs that are hurt, gone on with to their end, and compared with those that were never hurt."""

import json
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from victims import End, Nursery, Wound

TIMES = ("seconds", "tokens_per_second")
OBJECTIVES = ("pairs", "causal", "masked")
WITHIN = 5.0
"""Seconds in which a signal must have ended a tiny run."""

WORDS = [f"{a}{b}{c}" for a in "bdgk" for b in "aeiou" for c in "lmnr"]
SETTINGS = [
    "model.d_model=16",
    "model.d_ff=16",
    "model.attention.num_heads=2",
    "model.dropout=0.2",
    "batch.tokens=128",
    "batch.accumulate=2",
    "training.ema=0.9",
    "training.validate_every=6",
    "training.save_every=3",
    "training.keep_last=2",
    "training.samples=1",
    "training.checks=false",
    "runtime.attention=sdpa",
    "training.report_every=1",
    "optimizer.rate=0.01",
    "stop.minutes=0",
    "stop.patience=0",
    "stop.steps=16",
]
OF_TEXT = ["text.target.vocab_size=300", "batch.context=32"]
MORE = {
    "pairs": [
        "model.encoder_layers=1",
        "model.decoder_layers=1",
        "text.target.kind=symbols",
        "text.source.kind=characters",
    ],
    "causal": ["model.decoder_layers=1", *OF_TEXT],
    "masked": ["model.encoder_layers=1", *OF_TEXT],
}


class LostError(Exception):
    """A fault cost something; says what."""


def lost_unless(good: bool, what: str, end: End | None = None) -> None:
    if not good:
        raise LostError(what if end is None else f"{what} (status {end.status}): {end.log[-2000:]}")


@dataclass
class Ground:
    """Where runs are hurt: data, and of each objective the run that was never hurt."""

    folder: Path
    nursery: Nursery
    chance: random.Random
    whole: dict[str, "Trial"] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def prepare(self, objectives: tuple[str, ...]) -> None:
        """Write the data and train the runs to compare with."""
        pairs = "".join(f"{word}\t{' '.join(reversed(word))}\n" for word in WORDS)
        (self.folder / "pairs").write_text(pairs, "utf-8")
        lines = [" ".join(WORDS[(i + step) % len(WORDS)] for step in range(6)) for i in range(len(WORDS))]
        for name in ("causal", "masked"):
            (self.folder / name).write_text("\n".join(lines) + "\n", "utf-8")
        for name in objectives:
            trial = self.trial(name)
            end = trial.start(Wound("full", str(trial.run), 0))
            lost_unless(end.status == 0, "the unhurt run failed", end)
            self.whole[name], self.seconds[name] = trial, end.seconds
            self.operations[name] = int((trial.place / "log.count").read_text("utf-8"))

    def trial(self, objective: str, below: Path | None = None) -> "Trial":
        self.count += 1
        place = (below or self.folder) / f"{objective}-{self.count}"
        place.mkdir()
        return Trial(self, objective, place)

    def moment(self, objective: str) -> float:
        """Some seconds after the start, before the end for the most part."""
        return self.chance.uniform(0, 1.05 * self.seconds[objective])


@dataclass
class Trial:
    """One run that is hurt; its log lies beside its folder."""

    ground: Ground
    objective: str
    place: Path

    @property
    def run(self) -> Path:
        return self.place / "run"

    @property
    def first(self) -> list[str]:
        """The command that begins the run."""
        data = json.dumps([str(self.ground.folder / self.objective)])
        settings = [f"data.train={data}", *SETTINGS, *MORE[self.objective]]
        return ["train", self.objective, "--out", str(self.run), *settings]

    @property
    def command(self) -> list[str]:
        """What a user types: the run folder where there is one, else the first command again."""
        return ["train", str(self.run)] if (self.run / "recipe.toml").is_file() else self.first

    def start(self, wound: Wound | None = None) -> End:
        return self.ground.nursery.run(self.command, self.place / "log", wound)

    def after(self, seconds: float, number: int) -> tuple[End, float]:
        """Start it, and send a signal so many seconds later; how it ended, and how long that took."""
        victim = self.ground.nursery.begin(self.command, self.place / "log")
        time.sleep(seconds)
        sent = time.monotonic()
        victim.send(number)
        end = victim.end()
        return end, time.monotonic() - sent

    def finish(self) -> None:
        """Go on until the end, and compare. Raises LostError."""
        end = self.start()
        lost_unless(end.status == 0 and end.is_clean, "it does not go on", end)
        compare(self.run, self.ground.whole[self.objective].run)


def compare(run: Path, whole: Path) -> None:
    """Raises LostError unless both runs ended alike."""
    for path in sorted((whole / "model").iterdir()):
        same = (run / "model" / path.name).read_bytes() == path.read_bytes()
        lost_unless(same, f"model/{path.name} differs")
    names = [sorted(path.name for path in (each / "model").iterdir()) for each in (run, whole)]
    lost_unless(names[0] == names[1], f"files of the model: {names}")
    for name in ("metrics.jsonl", "samples.jsonl"):
        lost_unless(lines_of(run / name) == lines_of(whole / name), f"{name} differs")
    left = [str(path) for path in run.rglob(".*") if path.name.endswith((".part", ".old"))]
    lost_unless(not left, f"left behind: {left}")


def lines_of(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def stopped(trial: Trial, end: End, status: int) -> None:
    """It ended by the signal, or had ended already; and said so in words if it was past its start."""
    lost_unless(end.for_a_shell in (0, status), "the exit status is another", end)
    lost_unless(end.is_clean or not trial.run.exists(), "it ended with a traceback", end)
    said = "Go on with: headway train" in end.log
    lost_unless(end.status != status or said or not trial.run.exists(), "it does not say how to go on", end)


def refused(end: End) -> None:
    lost_unless(end.status == 2 and end.is_clean, "no error of one message", end)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own; only root may make one."""
    folder.mkdir()
    mount("-t", "tmpfs", "-o", f"size={size}", "none", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def trial_log_outside(trial: Trial) -> None:
    """The log is not to be hurt with the run."""
    outside = trial.ground.folder / f"log-{trial.ground.count}"
    (trial.place / "log").symlink_to(outside)
