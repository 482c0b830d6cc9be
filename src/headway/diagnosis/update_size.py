"""How much one step changes the weights, relative to their size: the figure by which a rate is judged."""

import math
import statistics
from typing import Any

import torch
from torch import Tensor

from headway.training.muon import ADAM_SIZE


@torch.no_grad()
def update_size(optimizer: torch.optim.Optimizer, peak_rate: float) -> float | None:
    """|Δw| / |w| of the newest step, as it would be at the peak rate; the median over the model's matrices.

    It is read off the optimizer's state, so it costs one pass over the weights and no copy of them. None
    before the first step.
    """
    found = [
        size * peak_rate / norm
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.ndim > 1 and (norm := float(parameter.norm())) > 0
        if (size := _size_at_rate_one(parameter, group, optimizer.state.get(parameter, {}))) is not None
    ]
    return statistics.median(found) if found else None


def _size_at_rate_one(parameter: Tensor, group: dict[str, Any], state: dict[str, Any]) -> float | None:
    """The norm of the newest update at rate 1, weight decay apart."""
    if group.get("orthogonal"):
        return ADAM_SIZE * math.sqrt(parameter.numel()) if state else None
    if "exp_avg" not in state:
        return None
    (beta1, beta2), step = group["betas"], float(state["step"])
    mean = state["exp_avg"] / (1 - beta1**step)
    spread = (state["exp_avg_sq"] / (1 - beta2**step)).sqrt() + group["eps"]
    return float((mean / spread).norm())
