"""Several processes that train one model: who they are, and what they agree on.

`torchrun` starts them and says by environment variables who is who. PyTorch's DistributedDataParallel and
fully_shard do the rest.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from headway.training.meeting import meet

PATIENCE = timedelta(hours=24)
"""How long processes wait for one that works for all, which may prepare much text, as long as it lives."""

SILENCE = timedelta(minutes=2)
"""How long nothing may be heard of a process; one that ends is noticed at once."""

BEAT = 2.0
"""Seconds between two signs of life."""

GRACE = 10.0
"""Seconds that a process which is done waits for the others to be done, so that none takes it for lost."""


LOST = (
    "headway: other processes are gone or cannot be reached; once they can, `headway train` with the run "
    "folder goes on from the last whole checkpoint"
)
EXIT_LOST = 2


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train together; alone, everything here costs nothing."""

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return self.rank == 0

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Each number, summed over all processes."""
        if self.world == 1:
            return list(numbers)
        exchanged = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(exchanged)
        return exchanged.tolist()

    def first_says(self, value: Any) -> Any:
        """What the first process has for this value, which may be anything elsewhere."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def wait(self) -> None:
        """Until all processes are here."""
        self.sum([0])


ALONE = Ranks()


def is_launched() -> bool:
    """Whether torchrun, or a like program, started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def speaks() -> bool:
    """Whether this process, of those that were started together, is the one that reports for all."""
    return os.environ.get("RANK", "0") == "0"


def launch() -> str:
    """What is the same for all processes of one launch, restarted ones too; empty where none launched them.

    The name that torchrun's `--rdzv-id` gives, or else torchrun's own process, with the time at which it
    began where the system tells it: other processes get its number later.
    """
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    if name != "none":
        return name
    parent = os.getppid()
    try:
        began = Path(f"/proc/{parent}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
    except (OSError, ValueError, IndexError):
        return f"process {parent}"
    return f"process {parent}, begun at {began}"


def is_restarted() -> bool:
    """Whether torchrun started the processes again, after one of them failed."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"


@contextmanager
def joined() -> Iterator[Ranks]:
    """This process's place among those that were started together, connected as long as the block lasts.

    Numbers pass between the processors; between GPUs, where there are some, whatever lies on them.
    """
    if not is_launched():
        yield ALONE
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    store, rank, world = meet()
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=PATIENCE)
    try:
        with _signs_of_life():
            yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


@contextmanager
def _signs_of_life() -> Iterator[None]:
    """Inside the block all processes tell each other that they live, whatever else they do.

    Where one is heard no more, or fails, the others end: nothing else would end their waiting for it.
    """
    life = _Life(dist.new_group(backend="gloo", timeout=SILENCE))
    thread = threading.Thread(target=life.beat, daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        life.failed = True
        raise
    finally:
        life.done.set()
        thread.join(GRACE)


class _Life:
    """The signs of life of this process, on connections of their own; `beat` is run by a thread."""

    def __init__(self, group: dist.ProcessGroup) -> None:
        self.group = group
        self.done = threading.Event()
        self.failed = False

    def beat(self) -> None:
        """Exchange signs until all are done, or one has failed."""
        world = dist.get_world_size(self.group)
        while True:
            signs = torch.tensor([self.done.is_set(), self.failed], dtype=torch.int64)
            try:
                dist.all_reduce(signs, group=self.group)
            except RuntimeError as error:
                return self._end(f"{LOST} ({str(error).splitlines()[0]})")
            done, failed = signs.tolist()
            if failed:
                return self._end("headway: another process has failed, so this one ends")
            if done == world:
                return None
            time.sleep(BEAT / 20) if self.done.is_set() else self.done.wait(BEAT)

    def _end(self, message: str) -> None:
        """End the process, which waits inside a library; not if it is about to end for its own reason."""
        if not self.done.is_set():
            print(message, file=sys.stderr, flush=True)
            os._exit(EXIT_LOST)
