"""One model on several devices: whole on each (DistributedDataParallel), or in shards (fully_shard).

What belongs to shards is imported only where there are some: it would slow down every start.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from headway.model.architectures import Transformer
from headway.model.stack import Stack
from headway.runtime import Parallel
from headway.training.distributed import Ranks


def spread(model: Transformer, ranks: Ranks, how: Parallel) -> nn.Module:
    """What is to be called in place of the model, so that its gradient is that of all processes.

    Shards are made in place, of each layer and of the rest, before the optimizer is built.
    """
    if ranks.world == 1:
        return model
    if how == "ddp":
        return DistributedDataParallel(model, gradient_as_bucket_view=True)
    from torch.distributed.fsdp import fully_shard

    for module in model.modules():
        if isinstance(module, Stack):
            for layer in module.layers:
                for part in (*_readers_of_memory(layer), layer):
                    fully_shard(part)
    fully_shard(model)
    return model


def _readers_of_memory(layer: nn.Module) -> list[nn.Module]:
    """What a decoder's layer reads the encoder's output with, which it does before it is called itself."""
    attention = getattr(layer, "memory_attention", None)
    parts = [] if attention is None else [attention.key, attention.value, attention.key_norm]
    return [part for part in parts if any(True for _ in part.parameters())]


@contextmanager
def without_exchange(trainee: nn.Module, *, unless: bool) -> Iterator[None]:
    """Gradients are only added up in the block, and not exchanged yet, but for the last micro-batch."""
    if isinstance(trainee, DistributedDataParallel) and not unless:
        with trainee.no_sync():
            yield
        return
    if is_sharded(trainee):
        trainee.set_requires_gradient_sync(unless)  # type: ignore[operator]
    yield


def is_sharded(model: nn.Module) -> bool:
    """Whether this process holds only parts of the weights."""
    return hasattr(model, "set_requires_gradient_sync")


def whole(tensor: Tensor) -> Tensor:
    """The tensor itself, or put together from all processes, which must all ask for it."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def as_parameter(whole_tensor: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor laid out as the parameter is: on its device, and of a shard this process's part."""
    tensor = whole_tensor.to(parameter.device)
    if not hasattr(parameter, "full_tensor") or tensor.shape != parameter.shape:
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(parameter, DTensor)
    with torch.no_grad():
        return distribute_tensor(tensor, parameter.device_mesh, parameter.placements)
