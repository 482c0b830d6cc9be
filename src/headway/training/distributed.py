"""Several processes that train one model: who they are, and what they agree on.

`torchrun` starts them and says by environment variables who is who. PyTorch's DistributedDataParallel and
fully_shard do the rest.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

PATIENCE = timedelta(hours=6)
"""How long processes wait for the first one, which prepares the text for all; a dead one is seen at once."""


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train together; alone, everything here costs nothing."""

    rank: int = 0
    world: int = 1
    device: str = "cpu"
    """Where numbers that processes exchange must lie."""

    @property
    def is_first(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return self.rank == 0

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Each number, summed over all processes."""
        if self.world == 1:
            return list(numbers)
        exchanged = torch.tensor(numbers, dtype=torch.float64).to(self.device)
        dist.all_reduce(exchanged)
        return exchanged.tolist()

    def first_says(self, value: Any) -> Any:
        """What the first process has for this value, which it may be None for elsewhere."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device(self.device))
        return box[0]

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            dist.barrier()


ALONE = Ranks()


def is_launched() -> bool:
    """Whether torchrun, or a like program, started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """This process's place among those that were started together, connected as long as the block lasts."""
    if not is_launched():
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), device.type)
    finally:
        dist.destroy_process_group()
