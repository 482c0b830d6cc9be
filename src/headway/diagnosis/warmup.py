"""A spike of the loss in the warm-up or right after it, which the run got over."""

from headway.diagnosis.finding import Finding
from headway.diagnosis.history import History
from headway.diagnosis.levels import near_warmup, rises


def short_warmup(history: History) -> Finding | None:
    spikes = [rise for rise in rises(history) if not rise.lasting and near_warmup(history, rise.peak_step)]
    if not spikes:
        return None
    spike, longer = spikes[0], max(4 * history.warmup, 100)
    return Finding(
        "warm-up too short",
        f"with a warm-up of {history.warmup:,} steps the training loss jumped from {spike.best:.3g} to "
        f"{spike.peak:.3g} (step {spike.peak_step:,}), and came back",
        f"Lengthen the warm-up: schedule.warmup={longer}",
        {"before": spike.best, "peak": spike.peak, "step": spike.peak_step, "warmup": history.warmup},
    )
