"""Steps that go wrong: spikes of the loss are left out, and too many steps left out in a row end the run."""

import math
import statistics
from collections.abc import Sequence

from headway.batch import Batch
from headway.errors import UserError
from headway.training.settings import TrainingConfig
from headway.training.state import Counters
from headway.training.step import StepReport

WINDOW = 100
"""Steps whose losses say what is usual."""
LEAST = 20
"""Losses that must be known before any counts as a spike."""


class DivergedError(UserError):
    """Too many steps in a row were left out; `batches` are those of the last one."""

    def __init__(self, message: str, batches: Sequence[Batch]) -> None:
        super().__init__(message)
        self.batches = batches


def highest_loss(recent: Sequence[float], sigma: float) -> float:
    """The largest loss that is no spike: `sigma` deviations above the mean of the recent ones; 0 = any."""
    if not sigma or len(recent) < LEAST:
        return math.inf
    return statistics.fmean(recent) + sigma * statistics.pstdev(recent)


def count_step(counters: Counters, report: StepReport, config: TrainingConfig) -> None:
    """Note what became of a step."""
    counters.clipped += report.clipped
    counters.parts = report.parts
    if report.left_out:
        counters.skipped += 1
        counters.skipped_in_a_row += 1
        return
    counters.skipped_in_a_row = 0
    if config.spike_sigma:
        counters.recent_losses = [*counters.recent_losses, report.loss][-WINDOW:]


def diverged(counters: Counters, report: StepReport) -> str:
    """What is said when a run ends for steps that were left out."""
    return (
        f"{counters.skipped_in_a_row} steps in a row were left out, the last one, step {counters.step:,}, "
        f"because {report.left_out}. What was saved are the weights of the last good step. Look at the lines "
        "named above; if they are as they should be, start anew with a lower optimizer.rate"
    )
