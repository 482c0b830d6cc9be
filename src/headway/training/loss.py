"""Token cross-entropy, the one loss of all three trainings.

Axes: B rows, T positions, D d_model, N labels, P predictions of each (one, or two with R-Drop), V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from headway.batch import NO_LABEL, Batch
from headway.model.architectures import Transformer
from headway.training.settings import PLAIN, LossConfig

LOGITS_AT_ONCE = {"cpu": 2**22, "mps": 2**22, "cuda": 2**27}
"""What is computed together: about what a processor's caches hold; on a GPU, what keeps it busy."""


@dataclass(frozen=True)
class TokenLoss:
    """Sums, never means: exact over micro-batches and ranks."""

    total: Float[Tensor, ""]
    """Nats."""
    labels: Int[Tensor, ""]
    correct: Int[Tensor, ""]
    """Labels that are the most probable token."""


def token_loss(
    model: Transformer, batch: Batch, config: LossConfig = PLAIN, trunk: nn.Module | None = None
) -> TokenLoss:
    """Cross-entropy with label smoothing (Paper §5.4); logits are computed at labelled positions only.

    The smoothed target gives 1 - ε to the label and spreads ε evenly over the whole vocabulary. With R-Drop
    every label is predicted twice, and the mean of both is its loss. `trunk` is what is called for the hidden
    states where that is not the model itself.
    """
    read = batch.twice() if config.readings == 2 else batch
    hidden = (trunk or model)(read.inputs, read.source)
    labelled = batch.labels != NO_LABEL
    labels = batch.labels[labelled]
    states = hidden.unflatten(0, (-1, len(labelled)))[:, labelled].transpose(0, 1)
    head = [each for part in (model.transform, model.output) for each in part.parameters()]
    learning = [each for each in head if each.requires_grad] if torch.is_grad_enabled() else []
    total, correct = ProjectedLoss.apply(model, labels, config, states, *learning)  # type: ignore[no-untyped-call]
    return TokenLoss(total, labelled.sum(), correct)


class ProjectedLoss(torch.autograd.Function):
    """The summed loss of some labels' states, whose gradients are made beside it, chunk by chunk.

    So the logits of few positions are held at any time, and none from the forward to the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        model: Transformer,
        labels: Int[Tensor, "N"],
        config: LossConfig,
        states: Float[Tensor, "N P D"],
        *head: Tensor,
    ) -> tuple[Float[Tensor, ""], Int[Tensor, ""]]:
        exact = torch.promote_types(states.dtype, torch.float32)  # sums never lose digits to bfloat16
        total, correct = states.new_zeros((), dtype=exact), labels.new_zeros(())
        learns = any(ctx.needs_input_grad)
        of_states, of_head = [], [torch.zeros_like(parameter) for parameter in head]
        rows = max(1, LOGITS_AT_ONCE[states.device.type] // model.config.vocab_size // states.shape[1])
        for some, right in zip(states.split(rows), labels.split(rows), strict=True):
            some = some.detach().requires_grad_(learns)
            with torch.set_grad_enabled(learns):
                logits = model.logits(some).to(exact)
                loss = _summed(logits, right, config)
            total = total + loss.detach()
            correct = correct + (logits[:, 0].detach().argmax(dim=-1) == right).sum()
            if learns:
                of_some, *more = torch.autograd.grad(loss, [some, *head])
                of_states.append(of_some)
                for gradient, addition in zip(of_head, more, strict=True):
                    gradient += addition
        if learns:
            ctx.save_for_backward(torch.cat(of_states), *of_head)
        ctx.mark_non_differentiable(correct)
        return total, correct

    @staticmethod
    def backward(ctx: Any, scale: Float[Tensor, ""], _: Any) -> tuple[Tensor | None, ...]:
        of_states, *of_head = ctx.saved_tensors
        return None, None, None, scale * of_states, *(scale * gradient for gradient in of_head)


def _summed(
    logits: Float[Tensor, "N P V"], labels: Int[Tensor, "N"], config: LossConfig
) -> Float[Tensor, ""]:
    each = labels.repeat_interleave(logits.shape[1])
    loss = F.cross_entropy(logits.flatten(0, 1), each, reduction="sum", label_smoothing=config.smoothing)
    if not config.r_drop:
        return loss
    one, other = logits.log_softmax(dim=-1).unbind(dim=1)
    difference = ((one.exp() - other.exp()) * (one - other)).sum()  # both divergences of Kullback and Leibler
    return (loss + config.r_drop / 2 * difference) / 2
