"""Tensors that several processes hold in shards, on disk: each writes its own; any number may read them.

PyTorch's distributed checkpoints in their safetensors form, which nothing unpickles.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

SHARD = "shard-*.safetensors"
Template = Callable[[str, Tensor], Tensor]
"""From a tensor's name, and an empty one of its whole shape and type, to what is to be filled."""


def has_shards(folder: Path) -> bool:
    """Whether the tensors in a folder are in shards."""
    return any(folder.glob(SHARD))


def save_shards(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Write this process's part; all processes must call it. What all hold alike is written once."""
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    with _quiet():
        save(dict(tensors), storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))


def load_shards(folder: Path, group: str, template: Template = lambda _, whole: whole) -> dict[str, Tensor]:
    """The tensors named `group/…`, by the rest of their names; whole ones, or as the template lays them out.

    Where templates are shards, all processes must call it.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata
    from torch.distributed.checkpoint.state_dict_loader import load

    reader = HuggingFaceStorageReader(str(folder))
    with _quiet():
        held = reader.read_metadata().state_dict_metadata
        prefix = f"{group}/"
        tensors = {
            name: template(name.removeprefix(prefix), torch.empty(facts.size, dtype=facts.properties.dtype))
            for name, facts in held.items()
            if name.startswith(prefix) and isinstance(facts, TensorStorageMetadata)
        }
        apart = all(not hasattr(tensor, "full_tensor") for tensor in tensors.values())
        if tensors:
            load(tensors, storage_reader=reader, no_dist=apart or not dist.is_initialized())
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings about torch's own use of its older parts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
