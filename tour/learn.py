"""How the tour trains: Headway's own loop, which does every step, with as little around it as can be.

    config = TransformerConfig(vocab_size=20, encoder_layers=0, decoder_layers=2, d_model=64, …)
    model = fresh(config, seed)
    curve = learn(model, batch_at, Training(stop=StopConfig(steps=500), seed=seed))
    curve.losses, curve.norms, curve.seconds, curve.diverged
    score(model, some_batches).accuracy

`batch_at(step, progress)` makes the batch of a step: a function of the step (from 1) and of how far the run
is (0 to 1), so that runs compare. `endless(loader)` makes one of a `headway.data.loader.Loader`.
"""

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

import torch

from headway.batch import Batch
from headway.data.loader import Loader
from headway.model.architectures import Transformer, build
from headway.model.config import TransformerConfig
from headway.training import loop
from headway.training.guard import DivergedError
from headway.training.interrupt import Interruption
from headway.training.loop import Moment, Plan, Validation
from headway.training.loss import token_loss
from headway.training.optimizer import build_optimizer
from headway.training.schedule import check_schedule, peak_rate
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig, TrainingConfig
from headway.training.state import TrainState

MakeBatch = Callable[[int, float], Batch]
"""The batch of a step, from the step's number (from 1) and the progress of the run before it (0 to 1)."""
Look = Callable[[], dict[str, float]]
"""What is found of the model as it is now; called in evaluation mode, without gradients."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained. Unless said otherwise by AdamW, with a line up and a line down to zero.

    `StopConfig(steps=…)` makes so many steps. `StopConfig(minutes=…)` trains so long, looks not counted, as
    `headway train` does it: the speed that is measured fixes the number of steps.
    """

    stop: StopConfig
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(kind="adamw", rate=1e-3, weight_decay=0.01)
    )
    """Clips the gradient's norm at 1.0 unless `clip` says otherwise; 0 = not at all."""
    schedule: ScheduleConfig = field(default_factory=lambda: ScheduleConfig(kind="linear", warmup=50))
    smoothing: float = 0.0
    look_every: int = 0
    """Steps between looks; 0 = only at the end."""
    most_skipped: int = 20
    """The run breaks off when so many steps in a row were left out because they were not finite."""
    seed: int = 1
    """Of dropout alone: the model has its own from `fresh`, the batches have it from their maker."""

    def __post_init__(self) -> None:
        check_schedule(self.schedule, self.stop)


@dataclass(frozen=True)
class Seen:
    """What a look found after a step; `seconds` are those of training until then."""

    step: int
    seconds: float
    found: dict[str, float]


@dataclass
class Curve:
    """How a training went."""

    moments: list[Moment] = field(default_factory=list)
    """All that the loop tells of each step."""
    looks: list[Seen] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    diverged: str = ""
    """Why the run broke off; empty where it came to its stop."""

    @property
    def losses(self) -> list[float]:
        """Of each step, in nats per label, smoothing included; may be not finite."""
        return [moment.report.loss for moment in self.moments]

    @property
    def norms(self) -> list[float]:
        """Of each step's gradient, before clipping; may be not finite."""
        return [moment.report.norm for moment in self.moments]

    @property
    def steps(self) -> int:
        return len(self.moments)

    @property
    def seconds(self) -> float:
        """Of training: making batches counts, looks do not."""
        return self.moments[-1].seconds if self.moments else 0.0


@dataclass(frozen=True)
class Score:
    """A model on batches: nats per label, and the share of labels predicted right."""

    loss: float
    accuracy: float
    labels: int


def fresh(config: TransformerConfig, seed: int) -> Transformer:
    """An untrained model, the same for the same seed."""
    torch.manual_seed(seed)
    return build(config)


def learn(model: Transformer, batch_at: MakeBatch, training: Training, look: Look | None = None) -> Curve:
    """Train the model in float32 and leave it in evaluation mode.

    Where too many steps in a row are not finite the run breaks off: the curve says so, and the weights are
    those of the last good step.
    """
    curve = Curve()
    rate = peak_rate(training.optimizer, training.schedule, model.config.d_model)
    state = TrainState(model, build_optimizer(model, training.optimizer, rate))
    plan = Plan(
        training=TrainingConfig(
            label_smoothing=training.smoothing,
            validate_every=training.look_every or sys.maxsize,
            save_every=sys.maxsize,
            most_skipped=training.most_skipped,
            samples=0,
        ),
        optimizer=training.optimizer,
        schedule=training.schedule,
        stop=training.stop,
        peak_rate=rate,
        precision="float32",
        seed=training.seed,
    )

    def validate(state: TrainState) -> Validation:
        model.eval()
        if look is not None:
            with torch.no_grad():
                curve.looks.append(Seen(state.counters.step, state.counters.seconds, look()))
        return Validation({"loss": math.nan})  # none is the best: the last weights are those that stay

    try:
        loop.train(state, _OneEpoch(batch_at), plan, validate, _keep_nothing, _Notes(curve), Interruption())
    except DivergedError as error:
        curve.diverged = str(error)
    model.eval()
    return curve


@torch.no_grad()
def score(model: Transformer, batches: Iterable[Batch]) -> Score:
    """The model, in evaluation mode, on all labels of the batches."""
    was_training = model.training
    model.eval()
    losses = [token_loss(model, batch) for batch in batches]
    model.train(was_training)
    labels = sum(int(each.labels) for each in losses)
    total = sum(float(each.total) for each in losses)
    return Score(total / labels, sum(int(each.correct) for each in losses) / labels, labels)


def endless(loader: Loader) -> MakeBatch:
    """Batch after batch and epoch after epoch of a loader, whatever step is asked for."""
    now = 0.0

    def batches() -> Iterator[Batch]:
        for epoch in count():
            for parts in loader.epoch(epoch, 0, lambda _: now):
                yield from parts

    flow = batches()

    def batch_at(step: int, progress: float) -> Batch:
        nonlocal now
        now = progress  # a share of masked tokens may hang on it
        return next(flow)

    return batch_at


def parameters_of(model: torch.nn.Module) -> int:
    """How many numbers are learned; a shared one counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


@dataclass(frozen=True)
class _OneEpoch:
    """The batches as the loop asks for them: an epoch without end."""

    batch_at: MakeBatch

    def batches(self, epoch: int) -> int:
        return sys.maxsize

    def epoch(
        self, number: int, start: int = 0, progress: Callable[[int], float] | None = None
    ) -> Iterator[list[Batch]]:
        for index in count(start):
            yield [self.batch_at(index + 1, 0.0 if progress is None else progress(index))]

    def where(self, epoch: int, batch: int) -> str:
        return f"The batch of step {batch + 1}"


@dataclass(frozen=True)
class _Notes:
    """Writes down what the loop tells."""

    curve: Curve

    def step(self, moment: Moment) -> None:
        self.curve.moments.append(moment)

    def validation(self, step: int, validation: Validation, better: bool) -> None:
        """The look has been noted."""

    def warning(self, message: str) -> None:
        self.curve.warnings.append(message)


def _keep_nothing(state: TrainState) -> None:
    """Nothing of the tour is resumed."""
