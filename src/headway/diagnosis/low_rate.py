"""The loss falls in a straight slow line, by updates that are small beside the weights."""

import math

from headway.diagnosis.finding import Finding
from headway.diagnosis.history import History
from headway.diagnosis.levels import level, noise

FEWEST = 20
"""Lines of the log; fewer tell little."""

USUAL = 1e-3
"""|Δw| / |w| of a step that trains well, as a rule of thumb; small models do well with twenty times that."""

SMALL = 1e-4
"""|Δw| / |w| at the peak rate, a tenth of the usual: to change a weight by its own size takes more than ten
thousand steps."""

STRAIGHT = 0.5
"""Share of the first half's fall of the loss that the second half has at least. Where a rate is right, most
of the fall comes first."""


def rate_too_low(history: History) -> Finding | None:
    steps = history.good_steps
    sizes = [look.update_size for look in history.looks if look.update_size is not None]
    if history.recipe.start_from is not None or len(steps) < FEWEST or not sizes:
        return None  # whoever starts from a trained model means to change it little
    size, half, edge = max(sizes), len(steps) // 2, len(steps) // 20 + 1
    parts = (steps[: 2 * edge], steps[half - edge : half + edge], steps[-2 * edge :])
    start, middle, end = (level(part) for part in parts)
    if size >= SMALL or middle - end < STRAIGHT * (start - middle) - noise(steps):
        return None
    higher = history.peak_rate * 10 ** round(math.log10(USUAL / max(size, 1e-12)))
    return Finding(
        "rate too low",
        f"at the peak rate of {history.peak_rate:.2g} a step changes the weights by {size:.1g} of their "
        f"size, where about {USUAL:g} is usual; the training loss goes in a straight line from {start:.3g} "
        f"over {middle:.3g} to {end:.3g}",
        f"Raise it: optimizer.rate={higher:.1g}",
        {"update_size": size, "start": start, "middle": middle, "end": end, "rate": history.peak_rate},
    )
