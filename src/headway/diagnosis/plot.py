"""The curves of a run as a figure, drawn by matplotlib (extra `plot`)."""

from pathlib import Path
from typing import TYPE_CHECKING

from headway.diagnosis.history import History
from headway.errors import UserError
from headway.inspection.figure import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = (8.0, 7.5)
HIGHEST_LOSS = 1.5
"""Times the first loss, above which curves are cut off: a loss that exploded would flatten all else."""


def save_curves(history: History, path: Path, title: str) -> None:
    """Write losses, rate and gradient norm over steps, in the format that the suffix names.

    Raises UserError for another suffix, a place that cannot be written to, and where matplotlib is missing.
    """
    save_figure(curves(history, title), path)


def curves(history: History, title: str) -> "Figure":
    """Losses, rate, and gradient norm with the clip."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise UserError("--plot needs the package matplotlib: pip install 'headway[plot]'") from error
    if not history.steps and not history.looks:
        raise UserError("there are no curves to draw yet: the run has written no step down")
    figure = Figure(figsize=INCHES, layout="constrained")
    losses, rates, norms = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1.4))
    losses.set_title(title, loc="left")
    _draw_losses(losses, history)
    steps = [step.step for step in history.good_steps]
    rates.plot(steps, [step.rate for step in history.good_steps], color="tab:green")
    rates.set_ylabel("rate")
    rates.set_ylim(bottom=0)
    lengths = [step.gradient_norm for step in history.good_steps]
    norms.plot(steps, lengths, color="tab:purple", linewidth=0.8)
    if history.recipe.optimizer.clip:
        norms.axhline(
            history.recipe.optimizer.clip, color="black", linestyle="--", linewidth=0.8, label="clip"
        )
        _legend_above(norms)
    if lengths and min(lengths) > 0:
        norms.set_yscale("log")
    norms.set_ylabel("gradient norm")
    norms.set_xlabel("step")
    for axis in (losses, rates, norms):
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_losses(axis: "Axes", history: History) -> None:
    steps, looks = history.good_steps, history.good_looks
    axis.plot(
        [step.step for step in steps],
        [step.loss for step in steps],
        color="tab:blue",
        alpha=0.6,
        label="training",
    )
    axis.plot(
        [look.step for look in looks],
        [look.loss for look in looks],
        "o-",
        color="tab:orange",
        label="held-out",
    )
    if looks:
        best = min(looks, key=lambda look: look.loss)
        label = f"best: {best.loss:.3g} at step {best.step:,}"
        axis.plot(best.step, best.loss, "*", color="tab:red", markersize=12, label=label)
    if steps:
        highest = max([HIGHEST_LOSS * steps[0].loss, *(look.loss for look in looks[-1:])])
        axis.set_ylim(top=min(axis.get_ylim()[1], highest))
    axis.set_ylabel("loss, nats per label")
    _legend_above(axis)


def _legend_above(axis: "Axes") -> None:
    """Outside, where it covers no curve."""
    axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, borderaxespad=0.2)
