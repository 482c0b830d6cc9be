"""All that a resumed run needs to be the run that was never interrupted."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from headway.model.architectures import Transformer
from headway.runtime import Kernel, Precision
from headway.training.distributed import ALONE, Ranks
from headway.training.settings import StopConfig
from headway.training.time_fit import TimeFit


@dataclass
class Counters:
    """Where a run stands: plain numbers, kept as JSON."""

    step: int = 0
    """Optimizer steps tried, skipped ones included."""
    epoch: int = 0
    batch: int = 0
    """The next batch of this epoch."""
    tokens: int = 0
    """Labels predicted so far."""
    seconds: float = 0.0
    """Of training, without validation and saving."""
    fit: TimeFit = field(default_factory=TimeFit)
    """Of a stop by minutes."""
    clipped: int = 0
    skipped: int = 0
    """Steps whose update was left out."""
    skipped_in_a_row: int = 0
    recent_losses: list[float] = field(default_factory=list)
    """Of the last steps, where spikes are looked for."""
    parts: int = 1
    """In how many parts batches are computed, for want of memory."""
    best: float | None = None
    best_step: int | None = None
    without_better: int = 0
    """Validations since the best one."""
    finished: str = ""
    """Why the run ended; empty while it has not."""
    look_due: bool = False
    """Whether a validation was stopped, so that a resumed run begins with it."""
    precision: Precision | None = None
    """What the run computes in, measured once; None = it has not begun."""
    attention: Kernel | None = None
    """How attention is computed, measured once; None = it has not begun."""
    tokenizers: str = ""
    text: str = ""
    """Fingerprints of the tokenizers and of the encoded text with which the run began; empty = not known."""

    def progress(self, stop: StopConfig, batches: int) -> float:
        """How far the run is on its way to the stop, in [0, 1]; `batches` are those of this epoch."""
        return min(1.0, max([*self._shares(stop, batches), self.fit.progress(self.step)]))

    def _shares(self, stop: StopConfig, batches: int) -> list[float]:
        """How much of each countable limit is used up, and at least one 0."""
        used = (
            (self.step, stop.steps),
            (self.epoch + self.batch / batches, stop.epochs),
            (self.tokens, stop.tokens),
        )
        return [0.0, *(spent / limit for spent, limit in used if limit)]

    def seconds_left(self, stop: StopConfig, batches: int) -> float | None:
        """Of training, until the first limit at the pace so far; None if nothing fixes the end."""
        share = max(self._shares(stop, batches))
        times = [stop.minutes * 60 - self.seconds] if stop.minutes else []
        times += [self.seconds * (1 / share - 1)] if share else []
        return max(0.0, min(times)) if times else None

    def reached(self, stop: StopConfig, batches: int) -> str:
        """The limit that the run has reached, in words; empty if none. `batches` are those of this epoch."""
        if stop.steps and self.step >= stop.steps:
            return f"{stop.steps:,} steps done"
        if stop.epochs and self.epoch + self.batch / batches >= stop.epochs:
            return f"{stop.epochs:g} epochs done"
        if stop.tokens and self.tokens >= stop.tokens:
            return f"{stop.tokens:,} tokens seen"
        if self.fit.steps is not None and self.step >= self.fit.steps:
            return f"{stop.minutes:g} minutes of training done"
        if stop.patience and self.without_better >= stop.patience:
            return f"no better result in {stop.patience} validations"
        return ""


@dataclass
class TrainState:
    """A model in training."""

    model: Transformer
    optimizer: torch.optim.Optimizer
    counters: Counters = field(default_factory=Counters)
    average: dict[str, Tensor] | None = None
    """Exponential moving average of the parameters, by name."""
    ranks: Ranks = ALONE
    """The processes that train it together."""
    spread: nn.Module | None = None
    """What several processes call in place of the model, so that their gradients are exchanged."""

    @property
    def trainee(self) -> nn.Module:
        """What is called in training: the model itself, where one process trains it."""
        return self.spread or self.model
