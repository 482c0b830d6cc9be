"""What a demo is: data, a built-in recipe, figures, examples, and what to try next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headway.api import Pipeline
from headway.data.corpus import DataConfig
from headway.data.layout import Layout
from headway.evaluation.result import Evaluation
from headway.judge import judge

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
    """One demo. Its recipe is the built-in one of the same name; paths are below the folder of its data.

    `origin` says in one line what the data is, with its version. `write` writes the files into a folder and
    returns an account of them, a line each. `report` gets the trained model and the folder of the data.
    `commands` are what to type next; {run} and {data} stand for the folders.
    """

    name: str
    task: str
    origin: Callable[[], str]
    write: Callable[[Path], list[str]]
    train: str
    valid: str
    test: str
    layout: Layout
    report: Callable[[Pipeline, Path], Report]
    commands: tuple[str, ...]

    @property
    def recipe(self) -> str:
        return f"demo-{self.name}"


def evaluation_on(pipeline: Pipeline, file: Path, layout: Layout) -> tuple[Evaluation, list[Example]]:
    """The figures on a file of held-out text, and for pairs a few examples, spread evenly."""
    judged = judge(pipeline, DataConfig(train=(str(file),), layout=layout))
    examples = [
        Example(judged.sources[i], judged.outputs[i], "  |  ".join(judged.references[i]))
        for i in spread(len(judged.sources))
    ]
    return judged.evaluation, examples


def spread(count: int, wanted: int = EXAMPLES) -> list[int]:
    """Up to `wanted` of the indices 0 … count − 1, evenly spread."""
    few = min(count, wanted)
    return [index * count // few for index in range(few)]
