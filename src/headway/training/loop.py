"""The training loop: it knows batches, steps and times, and nothing of tasks."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from headway.batch import Batch
from headway.data.keyed_random import Draw, keyed_bits
from headway.runtime import Precision
from headway.training.average import update_average, weights_of
from headway.training.guard import DivergedError, count_step, diverged, highest_loss
from headway.training.interrupt import Interruption
from headway.training.schedule import rate_factor
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig, TrainingConfig
from headway.training.state import TrainState
from headway.training.step import StepReport, train_step


@runtime_checkable
class Batches(Protocol):
    """Where batches come from: a pure function of epoch and index."""

    def batches(self, epoch: int) -> int: ...

    def epoch(
        self, number: int, start: int = 0, progress: Callable[[int], float] | None = None
    ) -> Iterator[list[Batch]]: ...

    def where(self, epoch: int, batch: int) -> str:
        """The lines of the training text that a batch is made of, in words."""


@dataclass(frozen=True)
class Sample:
    """A held-out example and what the model makes of it now."""

    source: str
    reference: str
    prediction: str
    finished: bool = True
    """Whether the model ended it; False where the limit of its length did."""


@dataclass(frozen=True)
class Validation:
    """What a look at held-out data found."""

    metrics: dict[str, float]
    samples: list[Sample] = field(default_factory=list)
    inside: dict[str, Any] = field(default_factory=dict)
    """What was measured inside the model, for the diagnosis of the run."""


class LookStoppedError(Exception):
    """Raised by a validation that was asked to stop; the run goes on with it when it is resumed."""


@dataclass(frozen=True)
class Moment:
    """What a reporter learns of one step."""

    step: int
    epoch: float
    progress: float
    rate: float
    seconds: float
    """Of training so far."""
    tokens: int
    seconds_left: float | None
    report: StepReport


@runtime_checkable
class Reporter(Protocol):
    """Who is told how the run goes."""

    def step(self, moment: Moment) -> None: ...

    def validation(self, step: int, validation: Validation, better: bool) -> None: ...

    def warning(self, message: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The settings that the loop follows."""

    training: TrainingConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    stop: StopConfig
    peak_rate: float
    precision: Precision
    seed: int = 0


def is_better(metric: str, value: float, best: float | None) -> bool:
    """Whether a validation beats the best so far; a value that is no number never does."""
    if math.isnan(value):
        return False
    return best is None or (value > best if metric == "accuracy" else value < best)


def train(
    state: TrainState,
    batches: Batches,
    plan: Plan,
    validate: Callable[[TrainState], Validation],
    save: Callable[[TrainState], None],
    reporter: Reporter,
    asked_to_stop: Interruption,
) -> None:
    """Train until a limit of `plan.stop` is reached (`state.counters.finished` says which) or asked to stop.

    Saves when due, after each better validation, after one that failed, and at the end. Raises DivergedError,
    with the state saved, when too many steps in a row were left out.
    """
    counters = state.counters
    if counters.look_due and _settle(state, batches, plan, validate, save, reporter, asked_to_stop):
        return
    while not counters.finished:
        count = batches.batches(counters.epoch)

        def progress(batch: int, count: int = count) -> float:
            return counters.progress(plan.stop, count)

        start = time.perf_counter()
        for micro_batches in batches.epoch(counters.epoch, counters.batch, progress):
            report = _one_step(state, micro_batches, plan, count, reporter, start)
            if report.left_out:
                place = batches.where(counters.epoch, counters.batch - 1)
                reporter.warning(f"step {counters.step}: {report.left_out}; it is left out. {place}")
                if counters.skipped_in_a_row >= plan.training.most_skipped:
                    save(state)
                    raise DivergedError(diverged(counters, report), micro_batches)
            if _settle(state, batches, plan, validate, save, reporter, asked_to_stop):
                return
            start = time.perf_counter()
        counters.epoch, counters.batch = counters.epoch + 1, 0


def _settle(
    state: TrainState,
    batches: Batches,
    plan: Plan,
    validate: Callable[[TrainState], Validation],
    save: Callable[[TrainState], None],
    reporter: Reporter,
    asked_to_stop: Interruption,
) -> bool:
    """After a step: look at held-out data and save, where due; whether training is to stop."""
    counters, count = state.counters, batches.batches(state.counters.epoch)
    counters.finished = counters.reached(plan.stop, count)
    better = False
    if counters.step % plan.training.validate_every == 0 or counters.finished:
        counters.look_due = True
        try:
            better = _validate(state, validate, plan, reporter)
        except LookStoppedError:
            counters.finished = ""
            save(state)
            return True
        except Exception:
            save(state)  # what was trained is not lost with a look at it that failed
            raise
        counters.look_due = False
        counters.finished = counters.finished or counters.reached(plan.stop, count)
    done = bool(counters.finished or state.ranks.sum([bool(asked_to_stop)])[0])
    if counters.step % plan.training.save_every == 0 or better or done:
        save(state)
    return done


def _one_step(
    state: TrainState, batches: list[Batch], plan: Plan, count: int, reporter: Reporter, start: float
) -> StepReport:
    """Step, count and tell; `start` is when work on this step began, its batch included."""
    counters = state.counters
    before = counters.progress(plan.stop, count)  # of this step, so that the last one still moves
    counters.step += 1
    counters.batch += 1
    rate = plan.peak_rate * rate_factor(plan.schedule, counters.step, before)
    torch.manual_seed(_dropout_seed(plan.seed, counters.step, state.ranks.rank))
    report = train_step(
        state,
        batches,
        rate,
        loss=plan.training.loss,
        clip=plan.optimizer.clip,
        precision=plan.precision,
        highest_loss=highest_loss(counters.recent_losses, plan.training.spike_sigma),
    )
    if state.average is not None:
        update_average(state.average, state.model, plan.training.ema)
    counters.tokens += report.labels
    if report.parts > counters.parts:
        reporter.warning(f"no memory for a batch at once: from now on it is computed in {report.parts} parts")
    count_step(counters, report, plan.training)
    # one clock for all processes, for it decides where the run ends
    counters.seconds += state.ranks.sum([time.perf_counter() - start if state.ranks.is_first else 0.0])[0]
    if plan.stop.minutes:
        counters.fit.look(counters.step, counters.seconds, plan.stop.minutes)
    reporter.step(
        Moment(
            step=counters.step,
            epoch=counters.epoch + counters.batch / count,
            progress=counters.progress(plan.stop, count),
            rate=rate,
            seconds=counters.seconds,
            tokens=counters.tokens,
            seconds_left=counters.seconds_left(plan.stop, count),
            report=report,
        )
    )
    return report


def _dropout_seed(seed: int, step: int, rank: int) -> int:
    """What dropout draws from in this step and process: a key, so that nothing need be kept to resume."""
    return int(keyed_bits(seed, step, Draw.DROPOUT, np.array([rank]))[0])


def _validate(
    state: TrainState, validate: Callable[[TrainState], Validation], plan: Plan, reporter: Reporter
) -> bool:
    """Look at held-out data with the averaged weights, if there are any; true if it is the best so far."""
    counters, metric = state.counters, plan.training.metric
    with weights_of(state.model, state.average):
        validation = validate(state)
    value = validation.metrics[metric]
    better = is_better(metric, value, counters.best)
    counters.without_better = 0 if better else counters.without_better + 1
    if better:
        counters.best, counters.best_step = value, counters.step
    reporter.validation(counters.step, validation, better)
    return better
