"""Kinds of data: each is a set of figures that one procedure follows. Why they are so: docs/planning.md."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, log

from headway.planning.draft import Draft
from headway.planning.facts import DataFacts


@dataclass(frozen=True)
class Falling:
    """A figure that falls in a line of the logarithm of examples, from `most` to `least`."""

    few: int
    most: float
    many: int
    least: float

    def at(self, examples: float) -> float:
        share = log(max(examples, 1) / self.few) / log(self.many / self.few)
        return self.most + (self.least - self.most) * min(1.0, max(0.0, share))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is known to work for one kind of data."""

    name: str
    """What it is, in a few words."""
    preset: str
    """What a size leaves open."""
    stacks: tuple[str, ...]
    """Which layer counts a size is the size of."""
    choose_text: Callable[[Draft, DataFacts], None]
    """Chooses the vocabularies."""
    size: str
    """The usual one."""
    examples: dict[str, int] = field(default_factory=dict)
    """How many examples each size asks for, by name; of those that are not named none is taken unasked."""
    least_steps: int = 300
    """With fewer steps in the given time a smaller model learns more."""
    ample_epochs: float = 1000.0
    """A larger model is taken if in the given time it makes as many passes."""
    tokens: int = 4096
    """Of a batch, at most."""
    rows: int | None = None
    """Examples of a batch, which decide its tokens where they are fewer."""
    rate: float = 4e-3
    """Peak learning rate, up to a width of 256."""
    warmup: int = 200
    """Steps of warm-up, at most a twentieth of all."""
    smoothing: float = 0.1
    dropout: Falling
    """By examples."""
    single_pass: float = 3.0
    """With no more passes nothing can be learned by heart, so that there is no dropout."""
    r_drop_epochs: float = inf
    """With as many passes, two readings of each that are to agree teach more than twice the passes."""
    epochs: tuple[float, float, float, float]
    """Passes where no time is given: so many for 10,000 examples, the power of examples by which they fall,
    and bounds."""

    def passes(self, examples: int) -> float:
        """How often the text is read where no time is given."""
        usual, power, least, most = self.epochs
        return float(round(min(most, max(least, usual * (10_000 / max(1, examples)) ** power))))
