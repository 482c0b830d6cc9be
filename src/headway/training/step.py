"""One step of the optimizer: gradients of a global batch, a look at them, clipping, the update."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from headway.batch import NO_LABEL, Batch
from headway.runtime import Precision, autocast
from headway.training.loss import token_loss
from headway.training.parallel import whole, without_exchange
from headway.training.settings import PLAIN, LossConfig
from headway.training.state import TrainState


@dataclass(frozen=True)
class StepReport:
    """What one step did, over all processes. Means are per label of the whole step."""

    loss: float
    """Nats per label, label smoothing and R-Drop included."""
    accuracy: float
    labels: int
    norm: float
    """Global norm of the gradient, before clipping."""
    clipped: bool
    left_out: str = ""
    """Why the update was left out; empty where it was made."""
    parts: int = 1
    """In how many parts each micro-batch was computed, for want of memory."""

    @property
    def updated(self) -> bool:
        return not self.left_out


def train_step(
    state: TrainState,
    batches: Sequence[Batch],
    rate: float,
    *,
    loss: LossConfig = PLAIN,
    clip: float,
    precision: Precision,
    highest_loss: float = math.inf,
) -> StepReport:
    """Accumulate the gradient over micro-batches and processes, exactly as of one batch, and update (§5.3).

    The loss and the gradient are looked at before the update, which is left out where they are not finite, or
    where the loss is above `highest_loss`.
    """
    model, ranks = state.model, state.ranks
    labels = int(ranks.sum([sum(int((batch.labels != NO_LABEL).sum()) for batch in batches)])[0])
    model.train()
    parts, (total, correct) = _gradients(state, batches, ranks.world / labels, loss, precision)
    norm = float(whole(nn.utils.clip_grad_norm_(model.parameters(), clip or math.inf)))
    mean = total / labels
    left_out = ""
    if not (math.isfinite(norm) and math.isfinite(mean)):
        left_out = f"the gradient is not finite (loss {mean:.3g}, norm {norm:.3g})"
    elif mean > highest_loss:
        left_out = (
            f"the loss of {mean:.3g} is far above that of the steps before ({highest_loss:.3g} at most)"
        )
    else:
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        with autocast(next(model.parameters()).device, precision):  # for an optimizer with matrix products
            state.optimizer.step()
    return StepReport(
        loss=mean,
        accuracy=correct / labels,
        labels=labels,
        norm=norm,
        clipped=bool(clip) and norm > clip,
        left_out=left_out,
        parts=parts,
    )


def _gradients(
    state: TrainState, batches: Sequence[Batch], scale: float, config: LossConfig, precision: Precision
) -> tuple[int, list[float]]:
    """Leaves `scale` times the gradient of the summed loss; gives that sum and how many labels are right.

    A batch for which there is no memory is computed again in halves, quarters and so on of its rows.
    """
    parts = state.counters.parts
    while True:
        state.optimizer.zero_grad(set_to_none=True)
        some = [part for batch in batches for part in batch.split(parts)]
        try:
            return parts, _add_up(state, some, scale, config, precision)
        except RuntimeError as error:
            if not _is_want_of_memory(error) or state.ranks.world > 1 or parts >= _rows(batches):
                raise
            parts *= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _add_up(
    state: TrainState, batches: Sequence[Batch], scale: float, config: LossConfig, precision: Precision
) -> list[float]:
    """The summed loss in nats and the labels predicted right, of all processes; gradients are added."""
    model = state.model
    device = next(model.parameters()).device
    total = torch.zeros((), device=device, dtype=torch.float64)
    correct = torch.zeros((), device=device, dtype=torch.long)
    for batch in batches:
        with autocast(device, precision), without_exchange(state.trainee, unless=batch is batches[-1]):
            loss = token_loss(model, batch.to(device), config, state.trainee)
            (loss.total * scale).backward()
        total, correct = total + loss.total.detach(), correct + loss.correct
    return state.ranks.sum([float(total), float(correct)])


def _rows(batches: Sequence[Batch]) -> int:
    return max(len(batch.labels) for batch in batches)


def _is_want_of_memory(error: RuntimeError) -> bool:
    """Whether it is torch's word for it: a class on a GPU, a sentence on the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
