"""What several seeds say: curves with a shade, and whether two settings differ by more than seeds do."""

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tour.report import band

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def compared(first: Sequence[float], second: Sequence[float], form: str, unit: str) -> str:
    """How the second lies to the first: lower or higher for every seed, if their ranges do not overlap.

    In words, with the difference of the medians in the given format and unit.
    """
    change = f"{statistics.median(second) - statistics.median(first):{form}} {unit} between the medians"
    if max(second) < min(first):
        return f"lower for every seed ({change})"
    if min(second) > max(first):
        return f"higher for every seed ({change})"
    return f"not told apart by these seeds ({change})"


def shaded(
    axes: "Axes", x: Sequence[float], curves: Sequence[Sequence[float]], label: str, *, style: str, color: str
) -> None:
    """The median of several seeds' curves as a line, and from the lowest to the highest as a shade."""
    middle, low, high = band(curves)
    axes.plot(x, middle, style, color=color, label=label, linewidth=1.2, markersize=4)
    axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
