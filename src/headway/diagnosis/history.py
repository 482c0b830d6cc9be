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
    return HistoryReader(folder).read()


class HistoryReader:
    """Reads a run folder again and again, and of its logs each time what is new."""

    def __init__(self, folder: Path) -> None:
        self.run = RunFolder(folder)
        self._forget()

    def _forget(self) -> None:
        self.logs = [Log(self.run.path / name) for name in ("samples.jsonl", "metrics.jsonl")]
        self.samples: dict[int, list[Sample]] = {}
        self.steps: list[Step] = []
        self.looks: list[Look] = []

    def read(self) -> History:
        """What the folder holds now. Raises FolderError if it is no run folder."""
        if not self.run.exists:
            raise FolderError(f"{self.run.path}: is no run folder, since {self.run.recipe.name} is missing")
        if not all(log.stands() for log in self.logs):
            self._forget()
        samples, metrics = (log.new() for log in self.logs)
        for line in samples:
            known = {key: line[key] for key in Sample.__dataclass_fields__ if key in line}
            self.samples.setdefault(line["step"], []).append(Sample(**known))
        for line in metrics:
            if "validation" in line:
                self.looks.append(_look(line, self.samples.setdefault(line["step"], [])))
            elif {"loss", "gradient_norm", "clipped", "rate"} <= line.keys():
                self.steps.append(
                    Step(**{key: line[key] for key in Step.__dataclass_fields__ if key in line})
                )
        recipe, finished = read_whole_recipe(self.run.recipe), self.run.is_finished
        return History(recipe=recipe, steps=[*self.steps], looks=[*self.looks], finished=finished)


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


class Log:
    """A JSON Lines file that grows, read from where it was left."""

    def __init__(self, path: Path) -> None:
        self.path, self.read = path, 0
        self.last = b""
        """The last line that was read, by which a file that was cut and went on otherwise is known."""

    def stands(self) -> bool:
        """Whether what was read is still there."""
        return self._from(self.read - len(self.last)).startswith(self.last)

    def new(self) -> list[dict[str, Any]]:
        """The objects of whole lines since last time; the last line may be half-written."""
        text = self._from(self.read)
        whole = text[: text.rfind(b"\n") + 1]
        self.read += len(whole)
        self.last = whole[whole.rfind(b"\n", 0, -1) + 1 :] or self.last
        return list(_objects(whole))

    def _from(self, place: int) -> bytes:
        if not self.path.exists():
            return b""
        with self.path.open("rb") as file:
            file.seek(place)
            return file.read()


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file that name a step; the last line may be half-written."""
    yield from _objects(path.read_bytes()) if path.exists() else ()


def _objects(text: bytes) -> Iterator[dict[str, Any]]:
    for line in text.decode("utf-8", "replace").split("\n"):  # a text may hold other line ends
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("step"), int):
            yield value
