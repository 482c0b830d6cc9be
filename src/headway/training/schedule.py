"""The learning rate at each step (Paper §5.3)."""

import math

from headway.errors import RecipeError
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig


def peak_rate(optimizer: OptimizerConfig, schedule: ScheduleConfig, d_model: int) -> float:
    """The recipe's rate, or the paper's: what eq. 3 gives at the last step of warm-up."""
    if optimizer.rate is not None:
        return optimizer.rate
    return (d_model * max(1, schedule.warmup)) ** -0.5


def rate_factor(schedule: ScheduleConfig, step: int, progress: float) -> float:
    """The share of the peak rate for step number `step` (from 1), `progress` in [0, 1] before it."""
    warmup = max(1, schedule.warmup)
    rise = min(1.0, step / warmup)
    match schedule.kind:
        case "inverse-sqrt":
            return min(rise, math.sqrt(warmup / step))
        case "cosine":
            fall = 0.5 * (1 + math.cos(math.pi * progress))
        case "linear":
            fall = 1 - progress
        case "constant":
            return rise
    return rise * (schedule.final + (1 - schedule.final) * fall)


def check_schedule(schedule: ScheduleConfig, stop: StopConfig) -> None:
    """Raises RecipeError for a schedule that must know the end where nothing fixes it."""
    if schedule.comes_down and not stop.is_fixed:
        raise RecipeError(
            f"schedule.kind = {schedule.kind!r} comes down to the stop: "
            "give stop.steps, epochs, tokens or minutes"
        )
