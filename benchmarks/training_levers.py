"""What each lever of a training step brings: python benchmarks/training_levers.py [--rounds N] [--compiled]

Each is taken away alone, and steps on random tokens are made with and without it in turn, in one process and
one thread. Processor time is compared, so that what else the machine does matters little. `--compiled`: also
what layers compiled by torch bring, which are not chosen. Figures go to
benchmarks/results/training-levers.json and .md, and into docs/speed.md.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from machine import machine
from publish import parsed, parser_of, publish, where
from side_by_side import ratio, shown
from torch import nn

from headway.batch import Batch, Tokens
from headway.model.architectures import Transformer, build
from headway.model.dropout import Dropout
from headway.model.presets import preset_config
from headway.training import step
from headway.training.kernel import compile_layers
from headway.training.loss import TokenLoss
from headway.training.optimizer import build_optimizer
from headway.training.settings import PLAIN, LossConfig, OptimizerConfig
from headway.training.state import TrainState

ROUNDS = 9
WORKS: dict[str, dict[str, Any]] = {
    "words": {"rows": 100, "length": 10, "vocabulary": 100, "d_model": 192, "d_ff": 768, "layers": 3},
    "sentences": {"rows": 128, "length": 16, "vocabulary": 8000, "d_model": 256, "d_ff": 1024, "layers": 4},
}
"""Rows of a batch, tokens of a row on either side, and the model."""
QUICK = {"rows": 4, "length": 5, "vocabulary": 50, "d_model": 16, "d_ff": 32, "layers": 1}


@contextmanager
def with_all_logits() -> Iterator[None]:
    """The loss as it is usually written: all logits are held until the backward pass."""

    def plain(model: Transformer, batch: Batch, config: LossConfig = PLAIN, _: Any = None) -> TokenLoss:
        logits, labels = model.logits(model(batch.inputs, batch.source)).flatten(0, 1), batch.labels.flatten()
        total = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=config.smoothing)
        correct = (logits.detach().argmax(-1) == labels).sum()
        return TokenLoss(total, torch.tensor(len(labels)), correct)

    with patch.object(step, "token_loss", plain):
        yield


@contextmanager
def with_a_number_for_each_place() -> Iterator[None]:
    """Dropout as torch has it."""
    with patch.object(Dropout, "forward", nn.Dropout.forward):
        yield


@contextmanager
def as_it_is() -> Iterator[None]:
    yield


FUSED = "AdamW in one piece"
COMPILED = "layers by `torch.compile` (not chosen)"
LEVERS: dict[str, Callable[[], Any]] = {
    "loss and its gradient in chunks": with_all_logits,
    "four places of dropout a random number": with_a_number_for_each_place,
    FUSED: as_it_is,
    COMPILED: as_it_is,
}
"""What is gone without each; the last two lie in the optimizer and in the model."""


def state_of(work: dict[str, Any], lever: str, *, gone: bool) -> TrainState:
    """A fresh model of the work; without a lever of the optimizer if that is gone."""
    layers = {"encoder_layers": work["layers"], "decoder_layers": work["layers"]}
    shape = {"d_model": work["d_model"], "d_ff": work["d_ff"], "attention": {"num_heads": 4}, **layers}
    torch.manual_seed(1)
    model = build(preset_config("pairs-small", work["vocabulary"], {**shape, "dropout": 0.1}))
    if lever == COMPILED and not gone:
        compile_layers(model)
    kind = "adamw" if lever == FUSED else "muon"
    optimizer = build_optimizer(model, OptimizerConfig(kind=kind), 1e-4)  # type: ignore[arg-type]
    for group in optimizer.param_groups:
        if gone and lever == FUSED:
            group["fused"] = False
    return TrainState(model, optimizer)


def batch_of(work: dict[str, Any]) -> Batch:
    def draw() -> torch.Tensor:
        return torch.randint(10, work["vocabulary"], (work["rows"], work["length"]))

    return Batch(Tokens(draw()), draw(), Tokens(draw()))


def turn(state: TrainState, batch: Batch) -> float:
    """Steps in a second of processor time."""
    start = time.process_time()
    step.train_step(state, [batch], 1e-4, loss=LossConfig(0.1), clip=1.0, precision="float32")
    return 1 / (time.process_time() - start)


def measure(rounds: int, levers: Collection[str], *, quick: bool) -> dict[str, Any]:
    torch.set_num_threads(1)
    rows = []
    for name, work in WORKS.items():
        size = QUICK if quick else work
        batch = batch_of(size)
        for lever in levers:
            without = LEVERS[lever]
            states = [state_of(size, lever, gone=gone) for gone in (False, True)]
            speeds: tuple[list[float], list[float]] = ([], [])
            for number in range(rounds + 1):
                found = turn(states[0], batch)
                with without():
                    slower = turn(states[1], batch)
                if number:  # the first step of each also makes its room
                    speeds[0].append(found)
                    speeds[1].append(slower)
            rows.append({"work": name, "lever": lever, "gain": ratio(*speeds)})
    return {"quick": quick, "rounds": rounds, "works": WORKS, "rows": rows, "machine": machine()}


def lines_of(found: dict[str, Any]) -> list[str]:
    lines = [f"| lever | {' | '.join(WORKS)} |", f"| --- |{' ---: |' * len(WORKS)}"]
    for lever in dict.fromkeys(row["lever"] for row in found["rows"]):
        cells = [shown(row["gain"]) for row in found["rows"] if row["lever"] == lever]
        lines.append(f"| {lever} | {' | '.join(cells)} |")
    works = "; ".join(
        f"{name}: {work['rows']} pairs of {work['length']} tokens, vocabulary {work['vocabulary']:,}, "
        f"d_model {work['d_model']}, {work['layers']}+{work['layers']} layers"
        for name, work in found["works"].items()
    )
    return [
        *lines,
        "",
        "Whole steps in float32, times as fast as without it, in processor time of one thread; medians of "
        f"{found['rounds']} rounds with the lowest and the highest. {works}. {where(found['machine'])}",
    ]


def main() -> None:
    parser = parser_of(__doc__, ROUNDS)
    parser.add_argument("--compiled", action="store_true", help="also layers compiled by torch")
    options = parsed(parser)
    levers = [lever for lever in LEVERS if options.compiled or lever != COMPILED]
    found = measure(2 if options.quick else options.rounds, levers, quick=options.quick)
    lines = lines_of(found)
    print("\n".join(lines))
    publish("training-levers", "Levers of training", found, lines, options.out)


if __name__ == "__main__":
    main()
