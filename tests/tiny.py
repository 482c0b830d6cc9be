"""Tiny runs of the three models, trained once a session for tests of what people do with a model."""

import json
from pathlib import Path

from headway.launch import train
from headway.run import Outcome

SMALL = [
    "model.d_model=32",
    "model.d_ff=32",
    "model.attention.num_heads=2",
    "training.validate_every=20",
    "training.save_every=20",
    "training.samples=2",
    "training.checks=false",
    "runtime.attention=sdpa",
    "schedule.kind=constant",
    "schedule.warmup=5",
    "optimizer.rate=0.01",
    "stop.minutes=0",
    "stop.patience=0",
]

WORDS = [f"{a}{b}{c}" for a in "bdgk" for b in "aeiou" for c in "lmnr"]


def write_pairs(folder: Path) -> Path:
    """Words and the same letters backwards, separated by blanks."""
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{word}\t{' '.join(reversed(word))}\n" for word in WORDS), "utf-8")
    return path


def write_text(folder: Path) -> Path:
    """Lines that repeat a few words in a fixed order."""
    path = folder / "text.txt"
    lines = [" ".join(WORDS[(i + step) % len(WORDS)] for step in range(6)) for i in range(len(WORDS))]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


PAIRS = [
    *SMALL,
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "text.target.kind=symbols",
    "text.source.kind=characters",
    "batch.tokens=200",
]
CAUSAL = [
    *SMALL,
    "model.decoder_layers=1",
    "text.target.vocab_size=300",
    "batch.context=32",
    "batch.tokens=256",
]
MASKED = [
    *SMALL,
    "model.encoder_layers=1",
    "text.target.vocab_size=300",
    "batch.context=32",
    "batch.tokens=256",
    "optimizer.rate=0.003",
]


def train_tiny(kind: str, folder: Path, steps: int = 40, *more: str) -> Outcome:
    """A run of one kind in `folder`/KIND."""
    folder.mkdir(parents=True, exist_ok=True)
    data = write_pairs(folder) if kind == "pairs" else write_text(folder)
    overrides = {"pairs": PAIRS, "causal": CAUSAL, "masked": MASKED}[kind]
    told: list[str] = []
    return train(
        kind,  # the built-in recipe: a plan would measure the machine first
        overrides=[f"data.train={json.dumps([str(data)])}", *overrides, f"stop.steps={steps}", *more],
        out=folder / kind,
        say=told.append,
    )
