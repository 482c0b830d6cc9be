"""Whether a model can learn at all: one small batch, again and again, on a copy that is thrown away."""

import math
import time
from copy import deepcopy

from torch import nn

from headway.preflight.finding import Finding, Level
from headway.preflight.trial import Trial
from headway.training.optimizer import build_optimizer
from headway.training.state import TrainState
from headway.training.step import train_step

CHECK = "learning"

STEPS, FEWEST = 30, 10
"""Steps that are taken at most, and fewer than which tell nothing where the loss has not fallen."""

WARMUP = 5
"""Steps in which the rate rises: fresh weights bear its peak no better here than in a run."""

SECONDS, SHARE = 5.0, 0.02
"""That are spent at most: so many, and no larger share of a run that is given minutes."""

HALVED, FALLEN = 0.5, 0.2
"""Shares of the loss above its floor: what is enough to stop, and what must have gone in all steps."""

NEAR = 0.1
"""Nats above the floor, where nothing is left to learn from a batch."""


def check_learning(trial: Trial) -> Finding:
    """The loss of a few rows must fall clearly, with the recipe's optimizer at its highest rate, no dropout.

    It is measured above its floor, the entropy of smoothed labels: nothing gets below.
    """
    recipe = trial.recipe
    if not trial.labels:
        message, remedy = "nothing of the first batch is to be predicted", "look at the objective's labels"
        return Finding(check=CHECK, level="fault", message=message, remedy=remedy)
    minutes = recipe.stop.minutes
    losses, left_out = _losses(trial, min(SECONDS, SHARE * 60 * minutes) if minutes else SECONDS)
    floor = smoothing_floor(recipe.training.label_smoothing, recipe.model.vocab_size)
    first, last = losses[0] - floor, losses[-1] - floor
    steps = len(losses) - 1
    course = f"from {losses[0]:.2f} to {losses[-1]:.2f} in {steps} step{'s' * (steps != 1)}"
    message = f"the loss of one batch went {course}"
    if left_out:
        remedy = f"lower optimizer.rate ({trial.start.rate:g}), or choose runtime.precision = 'float32'"
        level: Level = "warning" if steps else "fault"
        return Finding(check=CHECK, level=level, message=f"{message}, then {left_out}", remedy=remedy)
    if last <= (1 - FALLEN) * first or last <= NEAR or (steps < FEWEST and last < first):
        return Finding(check=CHECK, level="ok", message=message)
    what = "did not fall" if last >= first else "fell too little"
    message = f"the loss of one batch {what}: {course}"
    return Finding(check=CHECK, level="warning", message=message, remedy=_remedy(trial, last >= first))


def smoothing_floor(smoothing: float, vocab_size: int) -> float:
    """The least loss with label smoothing, in nats: the entropy of the smoothed label (Paper §5.4)."""
    other = smoothing / vocab_size
    shares = ((1 - smoothing + other, 1), (other, vocab_size - 1))
    return -sum(count * share * math.log(share) for share, count in shares if share)


def _losses(trial: Trial, seconds: float) -> tuple[list[float], str]:
    """The loss before each step and after the last one, and why a step could not be taken, if so."""
    model = deepcopy(trial.model)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    recipe, batch = trial.recipe, trial.batch
    floor = smoothing_floor(recipe.training.label_smoothing, recipe.model.vocab_size)
    state = TrainState(model, build_optimizer(model, recipe.optimizer, trial.start.rate))
    end = time.perf_counter() + seconds
    losses: list[float] = []
    # the loss after a step is what the next one finds, so that one more is begun than counts
    for step in range(1, STEPS + 2):
        rate = trial.start.rate * min(1.0, step / WARMUP)
        report = train_step(
            state,
            [batch],
            rate,
            loss=recipe.training.loss,
            clip=recipe.optimizer.clip,
            precision=trial.start.precision,
        )
        losses.append(report.loss)
        halved = report.loss - floor <= HALVED * (losses[0] - floor)
        if report.left_out or halved or (step > 1 and time.perf_counter() > end):
            return losses, report.left_out
    return losses, ""


def _remedy(trial: Trial, rose: bool) -> str:
    frozen = sum(p.numel() for p in trial.model.parameters() if not p.requires_grad)
    share = frozen / sum(p.numel() for p in trial.model.parameters())
    rate = f"optimizer.rate ({trial.start.rate:g})"
    tries = [f"lower {rate}" if rose else f"raise {rate}"]
    if rose:
        tries.append(f"lower optimizer.clip ({trial.recipe.optimizer.clip:g}; 0 is none)")
    if frozen:
        tries.append(f"freeze less than {share:.0%} of the weights (training.freeze)")
    return f"try to {', or to '.join(tries)}"
