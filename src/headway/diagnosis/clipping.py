"""Nearly every gradient after warm-up is far longer than the clip."""

import statistics

from headway.diagnosis.finding import Finding
from headway.diagnosis.history import History

FEWEST = 20
"""Lines of the log after warm-up; fewer tell little."""

ALWAYS, FAR = 0.9, 3.0
"""Share of steps that were clipped, and how many times the clip their gradients are. Below that it is a mild
scaling, which Adam undoes: masked models live well with all gradients at one and a half times the clip."""


def always_clipped(history: History) -> Finding | None:
    warm, clip = history.warm_steps, history.recipe.optimizer.clip
    if len(warm) < FEWEST or not clip:
        return None
    share = sum(step.clipped for step in warm) / len(warm)
    usual = statistics.median(step.gradient_norm for step in warm)
    if share <= ALWAYS or usual < FAR * clip:
        return None
    wide = float(f"{2 * usual:.1g}")
    return Finding(
        "gradient always clipped",
        f"in {share:.0%} of steps after warm-up the gradient was longer than optimizer.clip={clip:g}, in "
        f"half of them longer than {usual:.3g}",
        f"If the loss falls as it should, set optimizer.clip={wide:g}, which cuts exceptions only; if not, "
        f"lower the rate: optimizer.rate={history.peak_rate / 3:.1g}",
        {"share": share, "norm": usual, "clip": clip},
    )
