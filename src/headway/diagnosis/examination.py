"""All signs, and the looking for them in a run folder."""

from collections.abc import Callable
from pathlib import Path

from headway.diagnosis.clipping import always_clipped
from headway.diagnosis.divergence import divergence
from headway.diagnosis.finding import Finding
from headway.diagnosis.high_rate import rate_too_high
from headway.diagnosis.history import History, read_history
from headway.diagnosis.idle_heads import dead_heads
from headway.diagnosis.low_rate import rate_too_low
from headway.diagnosis.outputs import collapse, copying, empty, no_end
from headway.diagnosis.over_fitting import over_fitting
from headway.diagnosis.warmup import short_warmup

SIGNS: tuple[Callable[[History], Finding | None], ...] = (
    divergence,
    rate_too_high,
    rate_too_low,
    short_warmup,
    always_clipped,
    collapse,
    no_end,
    empty,
    copying,
    over_fitting,
    dead_heads,
)
"""From the causes to their consequences."""


def findings_in(history: History) -> list[Finding]:
    """What is wrong with a run so far."""
    return [finding for sign in SIGNS if (finding := sign(history)) is not None]


def examine(folder: str | Path) -> list[Finding]:
    """The signs of trouble in a run folder, whether the run goes on, was stopped or is finished.

    Raises FolderError if it is no run folder.
    """
    return findings_in(read_history(Path(folder)))
