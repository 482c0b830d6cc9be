"""Seconds to a loss: characters learned by a plain loop, and by `headway train` until it is as good."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import tomli_w
from machine import machine
from peers import CHARS
from publish import where
from side_by_side import quartiles, ratio, shown
from works import book

STEPS = 300
RECIPE: dict[str, Any] = {
    "preset": "causal-small",
    "text": {"target": {"kind": "characters", "vocab_size": 200}},
    "model": {"d_model": 128, "d_ff": 352, "dropout": 0.0, "attention": {"num_heads": 4}},
    "batch": {"tokens": 1024, "context": 64},
    "optimizer": {"kind": "muon", "rate": 1e-2, "beta2": 0.95, "weight_decay": 0.0, "clip": 1.0},
    "schedule": {"kind": "linear", "warmup": 40},
    "training": {
        "label_smoothing": 0.0,
        "validate_every": 10**6,
        "save_every": 10**6,
        "samples": 0,
        "final": "last",
    },
}
"""The layers of the plain loop at the same width; optimizer, schedule and shape are our own choice."""
PLAIN = "a plain loop in torch"
OURS = "`headway train`"


def chars(
    data: Path | None, folder: Path, rounds: int, python: str | None, *, quick: bool
) -> tuple[dict[str, Any], list[str]]:
    """Both in turn, as whole processes; ours counts only where its loss on all held-out text is no higher."""
    text = book(data)[: 20_000 if quick else None]
    cut = len(text) * 9 // 10
    (folder / "train.txt").write_text(text[:cut], "utf-8")
    (folder / "valid.txt").write_text(text[cut:], "utf-8")
    steps = 20 if quick else STEPS
    recipe = {
        **RECIPE,
        "data": {
            "train": [str(folder / "train.txt")],
            "valid": [str(folder / "valid.txt")],
            "layout": "file",
        },
        "stop": {"steps": steps},
    }
    (folder / "recipe.toml").write_text(tomli_w.dumps(recipe), "utf-8")
    peer = [python or sys.executable, str(Path(__file__).with_name("peers.py")), "chars", str(folder)]
    peer.append(str(20 if quick else CHARS["steps"]))
    runs: dict[str, list[dict[str, float]]] = {PLAIN: [], OURS: []}
    for number in range(rounds):
        seconds, told = timed(peer)
        runs[PLAIN].append({"seconds": seconds, "loss": json.loads(told.splitlines()[-1])["loss"]})
        out = folder / f"run-{number}"
        command = [sys.executable, "-m", "headway", "train", str(folder / "recipe.toml"), "--out", str(out)]
        seconds, _ = timed(command)
        runs[OURS].append({"seconds": seconds, "loss": held_out_loss(out)})
        print(f"round {number + 1}: {runs[PLAIN][-1]}, {runs[OURS][-1]}", file=sys.stderr)
    reached = all(a["loss"] <= b["loss"] for a, b in zip(runs[OURS], runs[PLAIN], strict=True))
    times = {name: [each["seconds"] for each in several] for name, several in runs.items()}
    found = {
        "text": data.name if data else "of the extra `demo`",
        "quick": quick,
        "steps": {PLAIN: int(peer[-1]), OURS: steps},
        "runs": runs,
        "seconds": {name: quartiles(several) for name, several in times.items()},
        "reached": reached,
        "headway_is_faster": ratio([1 / t for t in times[OURS]], [1 / t for t in times[PLAIN]]),
        "machine": machine(),
    }
    return found, lines_of(found)


def timed(command: list[str]) -> tuple[float, str]:
    """Seconds of a whole process, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
    return time.perf_counter() - start, done.stdout


def held_out_loss(run: Path) -> float:
    """Nats a character over all held-out text, from the model folder that the run left."""
    config = json.loads((run / "model" / "config.json").read_text("utf-8"))
    return float(config["info"]["metrics"]["loss"])


def lines_of(found: dict[str, Any]) -> list[str]:
    lines = ["| training | seconds | nats a character |", "| --- | ---: | ---: |"]
    for name, several in found["runs"].items():
        seconds = ", ".join(f"{each['seconds']:.1f}" for each in several)
        losses = ", ".join(f"{each['loss']:.4f}" for each in several)
        lines.append(f"| {name}, {found['steps'][name]:,} steps | {seconds} | {losses} |")
    if found["reached"]:
        verdict = f"Headway is there {shown(found['headway_is_faster'])} times as soon."
    else:
        verdict = "Headway did not reach the loss of the plain loop, so its seconds do not count."
    return [
        *lines,
        "",
        f"Whole processes, from their start to their end, imports and a look at all held-out text included. "
        f"{verdict} Text: {found['text']}. {where(found['machine'])}",
    ]
