"""The loss loses more than half of what it had gained, and does not come back; or it is no number."""

from headway.diagnosis.finding import Finding
from headway.diagnosis.history import History
from headway.diagnosis.levels import rises, takes_back

NOT_FINITE = 3
"""Steps whose loss or gradient was no finite number; one or two may be an odd line of text."""


def divergence(history: History) -> Finding | None:
    broken = [step for step in history.steps if not step.is_finite]
    if len(broken) >= NOT_FINITE:
        return Finding(
            "divergence",
            f"the loss or the gradient was not finite in {len(broken)} steps, first in {broken[0].step:,}",
            _remedy(history, broken[0].step),
            {"steps": len(broken), "first": broken[0].step},
        )
    lasting = [rise for rise in rises(history) if rise.lasting and takes_back(history, rise)]
    if not lasting:
        return None
    worst = max(lasting, key=lambda rise: rise.peak - rise.best)
    return Finding(
        "divergence",
        f"the training loss rose from {worst.best:.3g} (step {worst.start:,}) to {worst.peak:.3g} "
        f"(step {worst.peak_step:,})",
        _remedy(history, worst.start),
        {"best": worst.best, "best_step": worst.start, "peak": worst.peak, "peak_step": worst.peak_step},
    )


def _remedy(history: History, start: int) -> str:
    """What began in warm-up needs a rate well below the one reached there; later a third of the peak is
    enough."""
    rate = history.peak_rate / 3
    if start <= history.warmup:
        rate = max((step.rate for step in history.steps if step.step <= start), default=rate) / 10
    return f"Start anew with a lower rate, optimizer.rate={rate:.1g}, or a longer schedule.warmup"
