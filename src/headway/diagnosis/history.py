"""What is known of a run from its folder: all that signs of trouble are looked for in."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headway.diagnosis.heads import Heads
from headway.errors import FolderError
from headway.recipe import Recipe, read_whole_recipe
from headway.run_folder import RunFolder
from headway.training.loop import Sample
from headway.training.schedule import peak_rate


@dataclass(frozen=True, kw_only=True)
class Step:
    """A line of metrics.jsonl about one step of the optimizer."""

    step: int
    loss: float
    """Nats per label, label smoothing included."""
    gradient_norm: float
    """Before clipping."""
    clipped: bool
    rate: float
    updated: bool = True
    epoch: float = 0.0
    seconds: float = 0.0
    tokens_per_second: float = 0.0

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.gradient_norm)


@dataclass(frozen=True, kw_only=True)
class Look:
    """A validation."""

    step: int
    metrics: dict[str, float]
    better: bool = False
    samples: Sequence[Sample] = ()
    heads: Heads | None = None
    update_size: float | None = None

    @property
    def loss(self) -> float:
        return self.metrics.get("loss", math.nan)


@dataclass(frozen=True, kw_only=True)
class History:
    """A run so far: its recipe, its steps as far as they were written down, its validations."""

    recipe: Recipe
    steps: Sequence[Step] = field(default_factory=list)
    looks: Sequence[Look] = field(default_factory=list)
    finished: bool = False

    @property
    def warmup(self) -> int:
        """The last step of warm-up."""
        return self.recipe.schedule.warmup

    @property
    def peak_rate(self) -> float:
        return peak_rate(self.recipe.optimizer, self.recipe.schedule, self.recipe.model.d_model)

    @property
    def good_steps(self) -> list[Step]:
        """Those with a finite loss and gradient."""
        return [step for step in self.steps if step.is_finite]

    @property
    def good_looks(self) -> list[Look]:
        """Validations with a finite loss."""
        return [look for look in self.looks if math.isfinite(look.loss)]

    @property
    def warm_steps(self) -> list[Step]:
        """The good ones after warm-up."""
        return [step for step in self.good_steps if step.step > self.warmup]

    @property
    def chosen_look(self) -> Look | None:
        """The validation of the weights that a finished run takes for its model, else the newest one."""
        better = [look for look in self.looks if look.better]
        if self.finished and self.recipe.training.final == "best" and better:
            return better[-1]
        return self.looks[-1] if self.looks else None


def read_history(folder: Path) -> History:
    """What a run folder holds now, while the run goes on or after it. Raises FolderError if it is none."""
    run = RunFolder(folder)
    if not run.exists:
        raise FolderError(f"{folder}: is no run folder, since {run.recipe.name} is missing")
    samples: dict[int, list[Sample]] = {}
    for line in read_lines(folder / "samples.jsonl"):
        known = {key: line[key] for key in Sample.__dataclass_fields__ if key in line}
        samples.setdefault(line["step"], []).append(Sample(**known))
    steps, looks = [], []
    for line in read_lines(folder / "metrics.jsonl"):
        if "validation" in line:
            looks.append(_look(line, samples.get(line["step"], [])))
        elif {"loss", "gradient_norm", "clipped", "rate"} <= line.keys():
            steps.append(Step(**{key: line[key] for key in Step.__dataclass_fields__ if key in line}))
    recipe = read_whole_recipe(run.recipe)
    return History(recipe=recipe, steps=steps, looks=looks, finished=run.is_finished)


def _look(line: dict[str, Any], samples: Sequence[Sample]) -> Look:
    inside = line.get("inside", {})
    return Look(
        step=line["step"],
        metrics=line["validation"],
        better=bool(line.get("better")),
        samples=samples,
        heads=Heads(**inside["heads"]) if "heads" in inside else None,
        update_size=inside.get("update_size"),
    )


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file that name a step; the last line may be half-written."""
    if not path.exists():
        return
    for line in path.read_text("utf-8", errors="replace").split("\n"):  # a text may hold other line ends
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("step"), int):
            yield value
