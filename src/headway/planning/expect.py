"""How long a run takes, how much memory, and how large its model is: expected before it starts."""

from dataclasses import dataclass
from functools import cached_property

import torch

from headway.model.architectures import build
from headway.planning.draft import Draft
from headway.planning.facts import DataFacts
from headway.planning.kind import Kind
from headway.planning.machine import Machine, Work
from headway.planning.shape import work_of
from headway.planning.units import Units
from headway.training.memory import estimate_memory


@dataclass(frozen=True)
class Pace:
    """How fast the text is read, and how often."""

    seconds_a_step: float
    tokens_a_step: float
    """Predicted ones."""
    steps_an_epoch: float
    steps: int
    is_given: bool
    """Whether the user named the end."""

    @property
    def epochs(self) -> float:
        return self.steps / self.steps_an_epoch

    @property
    def seconds(self) -> float:
        return self.steps * self.seconds_a_step


@dataclass(frozen=True)
class Expectation:
    """What to expect of a run."""

    work: Work
    """A usual step of it."""
    pace: Pace

    @property
    def steps(self) -> int:
        return self.pace.steps

    @property
    def epochs(self) -> float:
        return self.pace.epochs

    @property
    def seconds(self) -> float:
        """Of training, about."""
        return self.pace.seconds

    @property
    def tokens_a_second(self) -> float:
        """Predicted ones."""
        return self.pace.tokens_a_step / self.pace.seconds_a_step

    @cached_property
    def parameters(self) -> int:
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in build(self.work.model).parameters())

    @cached_property
    def memory(self) -> int:
        """Bytes at the peak, about."""
        return memory_of(self.work)


def memory_of(work: Work) -> int:
    """Bytes that training takes at its peak, about."""
    tokens = work.rows * max(work.width, work.source_width) * work.loss.readings
    return estimate_memory(work.model, tokens, max(1, work.width), work.labelled).total


def pace_of(draft: Draft, units: Units, facts: DataFacts, machine: Machine, kind: Kind) -> Pace:
    """How fast a draft would go on this machine, and how far it would get."""
    work = work_of(draft, units)
    step = machine.seconds(work)
    held = facts.held_out == 0
    kept = facts.examples * (1 - draft.get("data.held_out", 0.02) * held)
    if units.source is None:
        an_epoch = kept * (units.target.mean + 1) / draft.get("batch.tokens")
    else:
        an_epoch = kept * units.longer / draft.get("batch.tokens")
    an_epoch = max(1.0, an_epoch)
    tokens = work.tokens * work.labelled
    ends = _ends(draft, step, an_epoch, tokens)
    amount = facts.characters if units.source is None else facts.examples
    usual = round(kind.passes(amount) * an_epoch)
    return Pace(step, tokens, an_epoch, min(ends, default=usual), bool(ends))


def _ends(draft: Draft, step: float, an_epoch: float, tokens: float) -> list[int]:
    """The steps after which each given limit is reached."""
    stop = {key: draft.get(f"stop.{key}", 0) for key in ("steps", "epochs", "tokens", "minutes")}
    ends = (stop["steps"], stop["epochs"] * an_epoch, stop["tokens"] / tokens, stop["minutes"] * 60 / step)
    return [max(1, round(end)) for end in ends if end]
