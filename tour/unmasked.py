"""The causal mask, taken away from outside: the model has no switch for it."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from headway.inspection.capture import swapped_backends
from headway.model.architectures import Transformer
from headway.model.backends import Attend, sdpa
from headway.model.mask import AttentionMask


def without_causality(
    mask: AttentionMask,
    bias: Float[Tensor, "b H T S"] | None,
    queries: int,
    keys: int,
    device: torch.device,
    /,
) -> Attend:
    """The default backend, but every query sees what comes after it; padding stays hidden."""
    return sdpa(replace(mask, causal=False), bias, queries, keys, device)


def seeing(model: Transformer, *, future: bool) -> AbstractContextManager[object]:
    """Inside the block each token sees the tokens after it, if `future`."""
    return swapped_backends(model, lambda: without_causality) if future else nullcontext()
