"""The loss spikes again and again, stays above a level it had reached, or stalls while gradients jump."""

import statistics

from headway.diagnosis.finding import Finding
from headway.diagnosis.history import History
from headway.diagnosis.levels import level, near_warmup, rises, takes_back

SPIKES = 2
"""Spikes that came and went after warm-up: one may be an odd batch."""

FEWEST = 20
"""Lines of the log after warm-up; fewer tell little."""

STALLED = 0.1
"""Share of what was learned during warm-up; since then less than that was learned."""

HIGH = 0.5
"""Share of the first loss above which a stalled one is not at its floor."""

WILD, OFTEN = 3.0, 0.1
"""Gradient norms so many times the median, in such a share of lines. Runs that have learned what there is
reach a fifth, as their median is small; those that still learn, less than a tenth."""


def rate_too_high(history: History) -> Finding | None:
    return _spikes(history) or _stays_above(history) or _stalls(history)


def _spikes(history: History) -> Finding | None:
    late = [rise for rise in rises(history) if not near_warmup(history, rise.peak_step)]
    spikes = [rise for rise in late if not rise.lasting]
    if len(spikes) < SPIKES:
        return None
    worst = max(spikes, key=lambda rise: rise.peak - rise.best)
    return _finding(
        history,
        f"after warm-up the training loss jumped {len(spikes)} times and came back, the highest time from "
        f"{worst.best:.3g} to {worst.peak:.3g} (step {worst.peak_step:,})",
        {"spikes": len(spikes), "before": worst.best, "peak": worst.peak, "step": worst.peak_step},
    )


def _stays_above(history: History) -> Finding | None:
    above = [rise for rise in rises(history) if rise.lasting and not takes_back(history, rise)]
    if not above:
        return None
    rise = above[-1]
    return _finding(
        history,
        f"the training loss had fallen to {rise.best:.3g} (step {rise.start:,}), then rose to "
        f"{rise.peak:.3g} (step {rise.peak_step:,}) and stayed above; the peak rate is "
        f"{history.peak_rate:.2g}",
        {"best": rise.best, "best_step": rise.start, "peak": rise.peak, "peak_step": rise.peak_step},
    )


def _stalls(history: History) -> Finding | None:
    warm = history.warm_steps
    if len(warm) < FEWEST:
        return None
    rising = [step for step in history.good_steps if step.step <= warm[0].step]
    first, reached, now = rising[0].loss, level(rising[-3:]), level(warm[-len(warm) // 3 :])
    usual = statistics.median(step.gradient_norm for step in warm)
    wild = sum(step.gradient_norm > WILD * usual for step in warm) / len(warm)
    if now < HIGH * first or reached - now > STALLED * max(first - reached, 0.0) or wild < OFTEN:
        return None
    return _finding(
        history,
        f"the training loss was {reached:.3g} when the rate had risen to {history.peak_rate:.2g} (step "
        f"{warm[0].step:,}) and is {now:.3g} now; in {wild:.0%} of steps the gradient is more than {WILD:g} "
        "times as long as usual",
        {"reached": reached, "now": now, "wild": wild, "rate": history.peak_rate},
    )


def _finding(history: History, found: str, figures: dict[str, float]) -> Finding:
    return Finding("rate too high", found, f"Lower it: optimizer.rate={history.peak_rate / 3:.1g}", figures)
