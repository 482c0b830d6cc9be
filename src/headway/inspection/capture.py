"""What passes through a model, recorded from outside. Axes: B rows, H heads, T queries, S keys, D d_model."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from headway.model.architectures import Transformer
from headway.model.backends import Attend, Backend, RecordingBackend, sdpa
from headway.model.mask import AttentionMask
from headway.model.stack import Stack

AnyBackend = TypeVar("AnyBackend", bound=Backend)
AnyModel = TypeVar("AnyModel", bound=Transformer)


@dataclass(frozen=True)
class Binding:
    """What one pass gave a kernel once and for all: the mask, and what is added to the scores."""

    mask: AttentionMask
    bias: Float[Tensor, "b H T S"] | None
    queries: int
    keys: int
    device: torch.device

    def visible(self) -> Bool[Tensor, "T S"]:
        """Which keys each query of the first row may see; on the CPU."""
        dense = self.mask.dense(self.queries, self.keys, self.device)
        if dense is None:
            return torch.ones(self.queries, self.keys, dtype=torch.bool)
        return dense.cpu().expand(-1, 1, self.queries, self.keys)[0, 0]


@dataclass
class BindingBackend:
    """Keeps what each pass binds, and computes as ever."""

    bindings: list[Binding] = field(default_factory=list)

    def __call__(
        self,
        mask: AttentionMask,
        bias: Float[Tensor, "b H T S"] | None,
        queries: int,
        keys: int,
        device: torch.device,
        /,
    ) -> Attend:
        self.bindings.append(Binding(mask, bias, queries, keys, device))
        return sdpa(mask, bias, queries, keys, device)


@contextmanager
def swapped_backends(model: nn.Module, make: Callable[[], AnyBackend]) -> Iterator[dict[str, AnyBackend]]:
    """Inside the block each stack computes with a backend of its own; gives them by the stack's name."""
    stacks = {name: module for name, module in model.named_modules() if isinstance(module, Stack)}
    before = {name: stack.backend for name, stack in stacks.items()}
    backends = {name: make() for name in stacks}
    try:
        for name, stack in stacks.items():
            stack.backend = backends[name]
        yield backends
    finally:
        for name, stack in stacks.items():
            stack.backend = before[name]


@contextmanager
def capture_attention(model: nn.Module) -> Iterator[dict[str, list[Float[Tensor, "B H T S"]]]]:
    """Record every attention weight computed inside the block, by stack, in the order of computation.

    A decoder that sees memory alternates: self-attention, attention to memory, layer by layer. Models pay
    nothing outside the block.
    """
    with swapped_backends(model, RecordingBackend) as recorders:
        yield {name: recorder.weights for name, recorder in recorders.items()}


@contextmanager
def capture_bindings(model: nn.Module) -> Iterator[dict[str, list[Binding]]]:
    """Record what each pass inside the block binds to its kernels, by stack."""
    with swapped_backends(model, BindingBackend) as watchers:
        yield {name: watcher.bindings for name, watcher in watchers.items()}


@contextmanager
def capture_layers(stack: Stack) -> Iterator[list[Float[Tensor, "B T D"]]]:
    """Record what each layer of a stack gives on, in order."""
    found: list[Tensor] = []

    def keep(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        found.append(output)

    handles = [layer.register_forward_hook(keep) for layer in stack.layers]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def twin(model: AnyModel) -> AnyModel:
    """The same model over the very same weights, in evaluation: what is done to it leaves the other alone.

    So a model can be looked into while others use it.
    """
    shared: dict[int, Any] = {id(each): each for each in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared).eval()
