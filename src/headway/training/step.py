"""One step of the optimizer: gradients of a global batch, a finite check, clipping, the update."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from headway.batch import NO_LABEL, Batch
from headway.runtime import Precision, autocast
from headway.training.distributed import ALONE, Ranks
from headway.training.loss import token_loss
from headway.training.parallel import whole, without_exchange
from headway.training.state import TrainState


@dataclass(frozen=True)
class StepReport:
    """What one step did, over all processes. Means are per label of the whole step."""

    loss: float
    """Nats per label, label smoothing included."""
    accuracy: float
    labels: int
    norm: float
    """Global norm of the gradient, before clipping."""
    clipped: bool
    updated: bool
    """False where the gradient was not finite and the step was skipped."""


def train_step(
    state: TrainState,
    batches: list[Batch],
    rate: float,
    *,
    smoothing: float,
    clip: float,
    precision: Precision,
    ranks: Ranks = ALONE,
) -> StepReport:
    """Accumulate the gradient over micro-batches and processes, exactly as of one batch, and update (§5.3).

    A gradient that is not finite is seen before the update, which is then left out.
    """
    model, optimizer = state.model, state.optimizer
    device = next(model.parameters()).device
    own = sum(int((batch.labels != NO_LABEL).sum()) for batch in batches)
    labels = int(ranks.sum([own])[0])
    total = torch.zeros((), device=device, dtype=torch.float64)
    correct = torch.zeros((), device=device, dtype=torch.long)
    model.train()
    optimizer.zero_grad(set_to_none=True)
    for batch in batches:
        with autocast(device, precision), without_exchange(state.trainee, unless=batch is batches[-1]):
            loss = token_loss(model, batch.to(device), smoothing, state.trainee)
            (loss.total * (ranks.world / labels)).backward()  # processes give the mean of their gradients
        total, correct = total + loss.total.detach(), correct + loss.correct
    norm = float(whole(nn.utils.clip_grad_norm_(model.parameters(), clip or math.inf)))
    finite = math.isfinite(norm)
    if finite:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    all_total, all_correct = ranks.sum([float(total), float(correct)])
    return StepReport(
        loss=all_total / labels,
        accuracy=all_correct / labels,
        labels=labels,
        norm=norm,
        clipped=bool(clip) and norm > clip,
        updated=finite,
    )
