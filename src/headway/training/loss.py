"""Token cross-entropy, the one loss of all three trainings.

Axes: B rows, T positions, D d_model, N labels.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from headway.batch import NO_LABEL, Batch
from headway.model.architectures import Transformer

CHUNK = 4096
"""Labelled positions whose logits are computed together."""


@dataclass(frozen=True)
class TokenLoss:
    """Sums, never means: exact over micro-batches and ranks."""

    total: Float[Tensor, ""]
    """Nats."""
    labels: Int[Tensor, ""]
    correct: Int[Tensor, ""]
    """Labels that are the most probable token."""


def token_loss(
    model: Transformer, batch: Batch, smoothing: float = 0.0, trunk: nn.Module | None = None
) -> TokenLoss:
    """Cross-entropy with label smoothing (Paper §5.4); logits are computed at labelled positions only.

    The smoothed target gives 1 - ε to the label and spreads ε evenly over the whole vocabulary. `trunk` is
    what is called for the hidden states where that is not the model itself.
    """
    hidden = (trunk or model)(batch.inputs, batch.source)
    labelled = batch.labels != NO_LABEL
    states, labels = hidden[labelled], batch.labels[labelled]
    exact = torch.promote_types(hidden.dtype, torch.float32)  # sums never lose digits to bfloat16
    total = hidden.new_zeros((), dtype=exact)
    correct = labels.new_zeros(())
    for some, right in zip(states.split(CHUNK), labels.split(CHUNK), strict=True):
        logits = model.logits(some).to(exact)
        total = total + F.cross_entropy(logits, right, reduction="sum", label_smoothing=smoothing)
        correct = correct + (logits.detach().argmax(dim=-1) == right).sum()
    return TokenLoss(total, labelled.sum(), correct)
