"""The runs of the page on gradient clipping: steps of Headway's own, with clipping and without it."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import torch

from headway.batch import Batch
from headway.data.in_memory import InMemory
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import CausalObjective
from headway.model.architectures import Transformer
from headway.model.presets import preset_config
from headway.training.optimizer import build_optimizer
from headway.training.settings import OptimizerConfig
from headway.training.state import TrainState
from headway.training.step import train_step
from tour.learn import endless, fresh, score
from tour.text import Text

CLIP, TIGHT = 1.0, 0.1
"""Largest norms of the gradient in clipped runs; 0 is none."""
MOMENTUM = 0.9
"""Of stochastic gradient descent."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the experiment is."""

    d_model: int = 64
    vocabulary: int = 512
    row: int = 32
    tokens: int = 512
    """A step."""
    chapters: int = 150
    """On which the rates are tried."""
    steps: int = 80
    """At each rate."""
    rates: Mapping[str, Sequence[float]] = field(
        default_factory=lambda: {
            "sgd": (0.3, 0.6, 1.0, 1.5, 3.0),
            "adam": (3e-3, 3e-2, 0.3, 3.0),
        }
    )
    few_chapters: int = 4
    """What is small enough to be learned by heart."""
    few_steps: int = 300
    few_rate: float = 2e-3
    """Of Adam, where over-fitting is looked at."""
    held_out: int = 4
    """Chapters."""
    look_every: int = 30
    clips: Sequence[float] = (0.0, CLIP, TIGHT)


@dataclass
class Run:
    """What each step found before its update."""

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)

    @property
    def late(self) -> list[float]:
        """The losses of the last fifth."""
        return self.losses[-max(1, len(self.losses) // 5) :]

    @property
    def diverged(self) -> bool:
        """Whether in the last fifth some loss is not finite, or their mean is above the first loss."""
        return not all(map(math.isfinite, self.late)) or statistics.fmean(self.late) > self.losses[0]


@dataclass
class Fit(Run):
    """A run on few chapters, and the losses on them and on others, looked at now and then."""

    steps: list[int] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    """Nats per token of the chapters it trains on."""
    unseen: list[float] = field(default_factory=list)
    """And of the others."""

    @property
    def gap(self) -> float:
        return self.unseen[-1] - self.seen[-1]


@dataclass(frozen=True)
class Task:
    """What is trained on, and what is not."""

    train: Loader
    held_out: Loader
    vocabulary: int


def task_of(text: Text, size: Size, count: int, seed: int) -> Task:
    """`count` chapters to train on, and others that are held out; batches in the order of a seed."""
    objective = CausalObjective(text.tokenizer.special)
    batch = BatchConfig(tokens=size.tokens, context=size.row)

    def loader(texts: InMemory, count: int) -> Loader:
        chosen = texts.targets[:: len(texts) // count][:count]
        return Loader(InMemory(chosen), objective, batch, seed=seed)

    return Task(loader(text.train, count), loader(text.held_out, size.held_out), text.tokenizer.vocab_size)


def new_model(size: Size, vocabulary: int, seed: int) -> Transformer:
    """Two layers as in the paper, normalized after each sum, without dropout."""
    changes = {
        "encoder_layers": 0,
        "decoder_layers": 2,
        "d_model": size.d_model,
        "d_ff": 4 * size.d_model,
        "dropout": 0.0,
        "attention": {"num_heads": 4},
    }
    return fresh(preset_config("paper-base", vocabulary, changes), seed)


def new_state(model: Transformer, kind: str, rate: float) -> TrainState:
    if kind == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=MOMENTUM)
    else:
        optimizer = build_optimizer(model, OptimizerConfig(kind="adam", rate=rate), rate)
    return TrainState(model, optimizer)


def step(state: TrainState, batch: Batch, rate: float, clip: float, run: Run) -> None:
    """One step of Headway's, without warm-up; one whose gradient is not finite changes nothing."""
    report = train_step(state, [batch], rate, clip=clip, precision="float32")
    run.losses.append(report.loss)
    run.norms.append(report.norm)


def try_rate(size: Size, task: Task, kind: str, rate: float, clip: float, seed: int) -> Run:
    state, batch_at = new_state(new_model(size, task.vocabulary, seed), kind, rate), endless(task.train)
    run = Run()
    for number in range(1, size.steps + 1):
        step(state, batch_at(number, 0.0), rate, clip, run)
    return run


def fit(size: Size, task: Task, clip: float, seed: int) -> Fit:
    """Trains with Adam on few chapters, much longer than is good for it."""
    model = new_model(size, task.vocabulary, seed)
    state, batch_at = new_state(model, "adam", size.few_rate), endless(task.train)
    run = Fit()
    for number in range(1, size.few_steps + 1):
        step(state, batch_at(number, 0.0), size.few_rate, clip, run)
        if number % size.look_every == 0:
            run.steps.append(number)
            run.seen.append(score(model, task.train.ordered()).loss)
            run.unseen.append(score(model, task.held_out.ordered()).loss)
    return run


@dataclass(frozen=True)
class Trial:
    """One run of the sweep."""

    kind: str
    rate: float
    clip: float
    seed: int
    run: Run


@dataclass(frozen=True)
class Found:
    """All runs."""

    trials: Sequence[Trial]
    fits: Mapping[float, Sequence[Fit]]
    """By clip, a run a seed."""

    def of(self, kind: str, rate: float, clip: float) -> list[Run]:
        return [t.run for t in self.trials if (t.kind, t.rate, t.clip) == (kind, rate, clip)]

    def saved(self, kind: str) -> list[tuple[Trial, Trial]]:
        """Pairs of runs that differ in clipping alone, of which only the one without it diverged."""
        mine = [trial for trial in self.trials if trial.kind == kind]
        clipped = {(trial.rate, trial.seed): trial for trial in mine if trial.clip}
        pairs = [(trial, clipped[trial.rate, trial.seed]) for trial in mine if not trial.clip]
        saved = [pair for pair in pairs if pair[0].run.diverged and not pair[1].run.diverged]
        return sorted(saved, key=lambda pair: (pair[0].rate, pair[0].seed))


def measure(text: Text, size: Size, seeds: Sequence[int]) -> Found:
    """All runs; those of one seed differ in nothing but what is compared."""
    trials, fits = [], {clip: [] for clip in size.clips}
    for seed in seeds:
        task = task_of(text, size, size.chapters, seed)
        for kind, rates in size.rates.items():
            for rate, clip in product(rates, (0.0, CLIP)):
                trials.append(Trial(kind, rate, clip, seed, try_rate(size, task, kind, rate, clip, seed)))
        few = task_of(text, size, size.few_chapters, seed)
        for clip in size.clips:
            fits[clip].append(fit(size, few, clip, seed))
    return Found(trials, fits)
