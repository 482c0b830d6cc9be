"""The machine: cores, memory, and how long real training steps of a model take on it."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from headway.batch import NO_LABEL, Batch, Tokens
from headway.config import table_of
from headway.data.keyed_random import Draw, keyed_bits
from headway.model.architectures import build
from headway.model.config import TransformerConfig
from headway.runtime import RuntimeConfig, choose_device, choose_precision, limited_threads, measured_once
from headway.training.kernel import choose_kernel, use_kernel
from headway.training.optimizer import build_optimizer
from headway.training.settings import LossConfig, OptimizerConfig
from headway.training.state import TrainState
from headway.training.step import train_step

MOST_SECONDS = 1.0
"""That a candidate may take to be measured, after its first step."""
MOST_STEPS = 12
LOW_RATE = 1e-6
HOUR = 3600.0
BUSY = 1.4
"""How much longer a step takes than its threads work, where others use the processor."""
SHORTEST = 0.005
"""Seconds, below which the system's clocks say too little."""
GAIN = 0.75
"""So many threads to this power are as many times as fast, about."""
USUAL_LOSS = LossConfig(smoothing=0.1)
FIRST_ID = 5
"""Lower ids are special."""


@dataclass(frozen=True)
class Work:
    """A step of training: a model, an optimizer, and a batch of rows of a common length."""

    model: TransformerConfig
    optimizer: OptimizerConfig
    rows: int
    width: int
    source_width: int
    """0 for language models."""
    labelled: float = 1.0
    """Share of tokens that is predicted."""
    loss: LossConfig = USUAL_LOSS

    @property
    def tokens(self) -> int:
        """Predicted tokens."""
        return self.rows * self.width


def measured(work: Work, runtime: RuntimeConfig) -> float:
    """Seconds of a step on random tokens: the quickest of a few, measured once a machine and kept.

    Where other programs use the processor, it is what the step would take without them, and is not kept.
    """
    device = choose_device(runtime.device)
    said = {"model": table_of(work.model), "optimizer": table_of(work.optimizer), "device": str(device)}
    how = [work.rows, work.width, work.source_width, work.labelled, table_of(work.loss)]
    text = json.dumps([said, *how, runtime.precision, runtime.attention])
    name = "steps/" + hashlib.sha256(text.encode()).hexdigest()[:16]
    with limited_threads(runtime.threads or torch.get_num_threads()):
        try:
            return HOUR / measured_once(name, lambda: HOUR / _seconds(work, runtime, device))
        except _BusyError:
            return _seconds_alone(work, runtime, device)


class _BusyError(Exception):
    """The processor does other things beside."""


def _seconds(work: Work, runtime: RuntimeConfig, device: torch.device) -> float:
    """The quickest step. Raises _BusyError where threads wait for others' work, the first step's left out."""
    step = _stepper(work, runtime, device)
    threads = torch.get_num_threads()
    best, end = float("inf"), time.perf_counter() + MOST_SECONDS
    for turn in range(MOST_STEPS):
        start, before = time.perf_counter(), time.process_time()
        step()
        taken, own = time.perf_counter() - start, (time.process_time() - before) / threads
        if device.type == "cpu":
            if threads > 1 and turn > 0 and taken > BUSY * own and taken > SHORTEST:
                raise _BusyError
            taken = taken if threads > 1 else own
        best = min(best, taken)
        if turn > 0 and time.perf_counter() > end:
            break
    return best


def _seconds_alone(work: Work, runtime: RuntimeConfig, device: torch.device) -> float:
    """The quickest step on one thread, whose own time tells its work, shared out among all threads."""
    threads = torch.get_num_threads()
    with limited_threads(1):
        return _seconds(work, runtime, device) / threads**GAIN


def _stepper(work: Work, runtime: RuntimeConfig, device: torch.device) -> Callable[[], object]:
    """What makes a step of the work."""
    precision = choose_precision(runtime.precision, device)
    with torch.random.fork_rng(devices=[]):
        model = build(work.model).to(device)
    use_kernel(model, choose_kernel(runtime.attention, device, precision))
    state = TrainState(model, build_optimizer(model, work.optimizer, LOW_RATE))
    batch = _batch(work)

    def step() -> None:
        with torch.random.fork_rng(devices=[]):
            train_step(state, [batch], LOW_RATE, loss=work.loss, clip=1.0, precision=precision)

    return step


def _batch(work: Work) -> Batch:
    """Random tokens; a few rows are one token shorter, as in a batch of like lengths."""
    ids = _ids(work.rows, work.width + 1, work.model.vocab_size)
    inputs, labels = Tokens(ids[:, :-1].contiguous()), ids[:, 1:].clone()
    if work.labelled < 1:
        labels[:, max(1, round(work.labelled * work.width)) :] = NO_LABEL
    if not work.source_width:
        return Batch(inputs, labels)
    sizes = work.model.source_vocab_size or work.model.vocab_size
    source = _ids(work.rows, work.source_width, sizes)
    segments = torch.ones_like(source)
    if work.source_width > 1:
        segments[: work.rows // 2, -1] = 0
    return Batch(inputs, labels, Tokens(source, segments))


def _ids(rows: int, width: int, vocabulary: int) -> Int[Tensor, "B T"]:
    kinds = max(1, vocabulary - FIRST_ID)
    bits = keyed_bits(0, 0, Draw.DROPOUT, np.arange(rows * width))
    drawn = torch.from_numpy((bits % np.uint64(kinds)).astype(np.int64))
    return drawn.reshape(rows, width) + min(FIRST_ID, vocabulary - 1)


@dataclass(frozen=True)
class Machine:
    """What a plan knows of the machine; `seconds` of a step are measured, or given."""

    cores: int
    memory: int | None
    """Bytes; None where the system does not tell."""
    seconds: Callable[[Work], float] = field(repr=False)

    def __str__(self) -> str:
        memory = "" if self.memory is None else f", {self.memory / 2**30:.1f} GiB of memory"
        return f"{self.cores} core{'s' if self.cores > 1 else ''}{memory}"


def this_machine(runtime: RuntimeConfig) -> Machine:
    """The one that this runs on."""
    cores = runtime.threads or torch.get_num_threads()
    return Machine(cores, _memory(), lambda work: measured(work, runtime))


def _memory() -> int | None:
    """Bytes that there are, or that this process may have."""
    found = []
    with suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text("utf-8")))
    return min(found, default=None)
