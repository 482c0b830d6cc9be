"""Attention weights of a pass, recorded from outside the model."""

from collections.abc import Iterator
from contextlib import contextmanager

from jaxtyping import Float
from torch import Tensor, nn

from headway.model.backends import RecordingBackend
from headway.model.stack import Stack


@contextmanager
def capture_attention(model: nn.Module) -> Iterator[dict[str, list[Float[Tensor, "B H T S"]]]]:
    """Record every attention weight computed inside the block, by stack, in the order of computation.

    A decoder that sees memory alternates: self-attention, attention to memory, layer by layer. Models pay
    nothing outside the block.
    """
    stacks = {name: module for name, module in model.named_modules() if isinstance(module, Stack)}
    before = {name: stack.backend for name, stack in stacks.items()}
    recorders = {name: RecordingBackend() for name in stacks}
    try:
        for name, stack in stacks.items():
            stack.backend = recorders[name]
        yield {name: recorder.weights for name, recorder in recorders.items()}
    finally:
        for name, stack in stacks.items():
            stack.backend = before[name]
