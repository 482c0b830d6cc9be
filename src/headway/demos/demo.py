"""What a demo is: data, a built-in recipe, figures, examples, and what to try next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headway.api import Pipeline
from headway.data.corpus import DataConfig
from headway.data.layout import Layout
from headway.evaluation.result import Evaluation
from headway.judge import Judged

EXAMPLES = 10


@dataclass(frozen=True)
class Example:
    """A held-out text, what the model makes of it, and what is right."""

    given: str
    predicted: str
    right: str


@dataclass(frozen=True)
class Report:
    """How the trained model does on held-out text."""

    evaluation: Evaluation
    examples: Sequence[Example]


@dataclass(frozen=True, kw_only=True)
class Demo:
    """One demo, trained by the built-in recipe of the same name.

    `origin` says in one line what the data is, with its version and licence. `write` writes the files into a
    folder, below which `train`, `valid` and `test` are, and returns an account of them, a line each. `report`
    gets the trained model and the folder. `commands` are what to type next; {run} and {data} are the folders.
    """

    task: str
    recipe: str
    origin: Callable[[], str]
    write: Callable[[Path], list[str]]
    train: str
    valid: str
    test: str
    layout: Layout
    report: Callable[[Pipeline, Path], Report]
    commands: tuple[str, ...]

    def overrides(self, data: Path) -> list[str]:
        """What names the data in the recipe."""
        return [f"data.train={data / self.train}", f"data.valid={data / self.valid}"]


def held_out(data: Path, pattern: str, layout: Layout) -> DataConfig:
    """The part of the data that no training has seen, as evaluation reads it."""
    return DataConfig(train=(str(data / pattern),), layout=layout)


def spread(count: int, wanted: int = EXAMPLES) -> list[int]:
    """Up to `wanted` of the indices 0 … count − 1, evenly spread."""
    few = min(count, wanted)
    return [index * count // few for index in range(few)]


def examples_of(judged: Judged) -> list[Example]:
    """A few of the pairs that a model was judged on."""
    return [
        Example(judged.sources[i], judged.outputs[i], "  or  ".join(judged.references[i]))
        for i in spread(len(judged.sources))
    ]
