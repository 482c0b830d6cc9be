"""The held-out loss rises while the training loss falls."""

from headway.diagnosis.finding import Finding
from headway.diagnosis.history import History
from headway.diagnosis.levels import level

SINCE_BEST = 2
"""Validations after the best one; one may be chance."""

TIMES, NATS = 1.05, 0.05
"""How many times the best held-out loss, and how far above it: more than neighbouring validations of a run at
rest differ by."""

FALLS = 0.01
"""Nats per label by which the training loss is below that before the best validation, at the least."""


def over_fitting(history: History) -> Finding | None:
    looks = history.good_looks
    if len(looks) <= SINCE_BEST:
        return None
    best, last = min(looks, key=lambda look: look.loss), looks[-1]
    worst = max(look.loss for look in looks if look.step >= best.step)
    least = max(TIMES * best.loss, best.loss + NATS, (best.loss + worst) / 2)  # what comes back, wavered
    if best not in looks[:-SINCE_BEST] or last.loss < least:
        return None
    since = [step for step in history.good_steps if step.step > best.step]
    until = [step for step in history.good_steps if step.step <= best.step][-len(since) :]
    if not since or not until:
        return None
    was, now = level(until[len(until) // 2 :]), level(since[len(since) // 2 :])
    if was - now < FALLS:
        return None
    return Finding(
        "over-fitting",
        f"the held-out loss was best at step {best.step:,} with {best.loss:.3f} and has risen to "
        f"{last.loss:.3f}, while the training loss fell from {was:.3f} to {now:.3f}",
        _remedy(history, last.metrics.get("accuracy", 0.0) > best.metrics.get("accuracy", 0.0)),
        {"best_step": best.step, "best": best.loss, "last": last.loss, "then": was, "now": now},
    )


def _remedy(history: History, accuracy_rises: bool) -> str:
    training, dropout = history.recipe.training, history.recipe.model.dropout
    better = f"model.dropout={min(0.5, max(0.1, dropout + 0.1)):g}"
    said = f"For a better model take more text, more dropout ({better}), or a smaller model"
    if training.final != "best":
        said = f"Set training.final=best, which takes the weights of that step. {said}"
    elif training.metric == "loss":
        said = f"The weights of that step become the model. {said}"
    if accuracy_rises and training.metric == "loss":
        said += "; the accuracy still rises: if that is what counts, set training.metric=accuracy"
    return said
