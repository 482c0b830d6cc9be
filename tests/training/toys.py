"""A tiny model, batches that are a pure function of epoch and index, and a reporter that remembers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headway.batch import NO_LABEL, Batch, Tokens
from headway.config import from_table
from headway.model.architectures import Transformer, build
from headway.model.config import AttentionConfig, NormConfig, TransformerConfig
from headway.training.average import start_average
from headway.training.checkpoint import Checkpoints
from headway.training.interrupt import Interruption
from headway.training.loop import Moment, Plan, Validation, train
from headway.training.optimizer import build_optimizer
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig, TrainingConfig
from headway.training.state import TrainState

VOCABULARY = 11
RATE = 0.01


def tiny_model(dropout: float = 0.0, tie: bool = True, encoder_layers: int = 0) -> Transformer:
    config = TransformerConfig(
        vocab_size=VOCABULARY,
        encoder_layers=encoder_layers,
        decoder_layers=1,
        d_model=8,
        d_ff=12,
        dropout=dropout,
        tie_output=tie,
        attention=AttentionConfig(num_heads=2),
        norm=NormConfig(position="pre"),
    )
    return build(config)


def random_batch(seed: int, rows: int = 3, length: int = 5, labelled: float = 0.7) -> Batch:
    """Random ids, of which some share has labels, the first of each row always."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, VOCABULARY, (rows, length), generator=generator)
    labels = torch.randint(0, VOCABULARY, (rows, length), generator=generator)
    without = torch.rand(rows, length, generator=generator) >= labelled
    without[:, 0] = False
    return Batch(Tokens(ids), labels.masked_fill(without, NO_LABEL))


@dataclass
class ToyBatches:
    """So many batches an epoch, each of two micro-batches with different numbers of labels."""

    count: int = 5
    asked: list[tuple[int, int]] = field(default_factory=list)
    """From which epoch and batch on batches were asked for."""
    shares: list[float] = field(default_factory=list)
    """What `progress` said before each."""

    def batches(self, epoch: int) -> int:
        return self.count

    def epoch(
        self, number: int, start: int = 0, progress: Callable[[int], float] | None = None
    ) -> Iterator[list[Batch]]:
        self.asked.append((number, start))
        for index in range(start, self.count):
            if progress is not None:
                self.shares.append(progress(index))
            key = 1000 * number + 2 * index
            yield [random_batch(key, rows=1), random_batch(key + 1, rows=4, labelled=0.5)]

    def where(self, epoch: int, batch: int) -> str:
        return f"epoch {epoch}, batch {batch}"


@dataclass
class Recorder:
    """Remembers what it is told; `after` is called behind each step and may interrupt."""

    after: Callable[[int], None] = lambda step: None
    moments: list[Moment] = field(default_factory=list)
    validations: list[tuple[int, dict[str, float], bool]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def step(self, moment: Moment) -> None:
        self.moments.append(moment)
        self.after(moment.step)

    def validation(self, step: int, validation: Validation, better: bool) -> None:
        self.validations.append((step, validation.metrics, better))

    def warning(self, message: str) -> None:
        self.warnings.append(message)


def plan_of(**tables: Any) -> Plan:
    """Settings with little to wait for, changed as the tables say."""
    training = {"validate_every": 1000, "save_every": 1000, **tables.get("training", {})}
    return Plan(
        training=from_table(TrainingConfig, training),
        optimizer=from_table(OptimizerConfig, tables.get("optimizer", {})),
        schedule=from_table(ScheduleConfig, {"kind": "constant", "warmup": 1, **tables.get("schedule", {})}),
        stop=from_table(StopConfig, tables.get("stop", {"steps": 10})),
        peak_rate=RATE,
        precision="float32",
    )


def new_state(plan: Plan, seed: int = 0, dropout: float = 0.0) -> TrainState:
    torch.manual_seed(seed)
    model = tiny_model(dropout)
    average = start_average(model) if plan.training.ema else None
    return TrainState(model, build_optimizer(model, plan.optimizer, plan.peak_rate), average=average)


class Losses:
    """A validation that finds these losses one after the other, the last one for ever."""

    def __init__(self, *losses: float) -> None:
        self.losses, self.calls = losses, 0

    def __call__(self, state: TrainState) -> Validation:
        self.calls += 1
        return Validation({"loss": self.losses[min(self.calls, len(self.losses)) - 1]})


@dataclass
class Run:
    """All that takes part in one training."""

    plan: Plan
    state: TrainState
    batches: ToyBatches = field(default_factory=ToyBatches)
    reporter: Recorder = field(default_factory=Recorder)
    asked: Interruption = field(default_factory=Interruption)
    validate: Callable[[TrainState], Validation] = field(default_factory=lambda: Losses(1.0))
    saved: list[int] = field(default_factory=list)
    checkpoints: Checkpoints | None = None

    def go(self) -> None:
        train(self.state, self.batches, self.plan, self.validate, self._save, self.reporter, self.asked)

    def _save(self, state: TrainState) -> None:
        self.saved.append(state.counters.step)
        if self.checkpoints is not None:
            self.checkpoints.save(state)


def run_of(*, seed: int = 0, dropout: float = 0.0, folder: Path | None = None, **tables: Any) -> Run:
    plan = plan_of(**tables)
    run = Run(plan, new_state(plan, seed, dropout))
    if folder is not None:
        run.checkpoints = Checkpoints(folder, plan.training.keep_last, run.reporter.warnings.append)
    return run


def everything(state: TrainState) -> dict[str, Tensor]:
    """All tensors of a state by name, copied."""
    tensors = {name: p.detach().clone() for name, p in state.model.named_parameters()}
    for group in state.optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            for kind, value in state.optimizer.state[parameter].items():
                tensors[f"optimizer/{name}/{kind}"] = value.clone()
    for name, value in (state.average or {}).items():
        tensors[f"average/{name}"] = value.clone()
    return tensors


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Bit for bit."""
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
