"""Histories of runs as tests need them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from headway.diagnosis.examination import findings_in
from headway.diagnosis.history import History, Look, Step
from headway.recipe import Recipe, resolve
from headway.training.loop import Sample

CONSTANT = {"kind": "constant", "warmup": 10}


def recipe(**tables: Any) -> Recipe:
    """Pairs, ten steps of warm-up to a rate of 0.001."""
    whole = {
        "preset": "pairs-small",
        "data": {"train": ["any"]},
        "stop": {"steps": 1000},
        "schedule": CONSTANT,
        "optimizer": {"rate": 1e-3},
    }
    return resolve({**whole, **tables})


def steps(losses: Sequence[float], norms: Sequence[float] | float = 0.5, every: int = 1) -> list[Step]:
    """A line of the log for each loss."""
    several = [norms] * len(losses) if isinstance(norms, float) else norms
    return [
        Step(step=every * (i + 1), loss=loss, gradient_norm=norm, clipped=norm > 1, rate=1e-3)
        for i, (loss, norm) in enumerate(zip(losses, several, strict=True))
    ]


def looks(*losses: float, every: int = 20, **more: Any) -> list[Look]:
    """A validation for each loss, the lowest so far being better."""
    return [
        Look(
            step=every * (i + 1),
            metrics={"loss": loss, "accuracy": 1 / (1 + loss)},
            better=loss <= min(losses[: i + 1]),
            **more,
        )
        for i, loss in enumerate(losses)
    ]


def learning(count: int = 100, start: float = 4.0, end: float = 1.0) -> list[float]:
    """A loss that falls as it should: fast, then slower."""
    return [end + (start - end) * 0.95**i for i in range(count)]


def history(losses: Sequence[float] | None = None, **more: Any) -> History:
    """A run with these training losses, that of a healthy one by default."""
    several = {"recipe": recipe(), "steps": steps(learning() if losses is None else losses), "looks": []}
    return History(**{**several, **more})


SOURCES = ["a b", "b c", "c d", "d e", "e f", "f g", "g h", "h i"]


def samples(*predictions: str, references: Sequence[str] = (), finished: bool = True) -> list[Sample]:
    """Eight sources; the last prediction is said of all that remain, references are theirs reversed."""
    said = [*predictions, *predictions[-1:] * (len(SOURCES) - len(predictions))]
    known = references or [source[::-1] for source in SOURCES]
    return [Sample(*each, finished) for each in zip(SOURCES, known, said, strict=True)]


def saying(several: Sequence[Sample], count: int = 3, **more: Any) -> History:
    """A run whose validations after warm-up all found these samples."""
    return history(looks=[replace(look, samples=several) for look in looks(*[1.0] * count)], **more)


def signs(of: History) -> list[str]:
    return [finding.sign for finding in findings_in(of)]
