"""Where and how numbers are computed: the device, and the precision that is fast on it."""

import ctypes
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from headway.errors import RecipeError, refuse_out_of_range

Precision = Literal["float32", "bfloat16"]
Parallel = Literal["ddp", "fsdp"]
Kernel = Literal["sdpa", "matmul"]

KEPT = 2**28
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Options of mallopt(3)."""


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """Where it is computed; results change by rounding alone."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """`auto`: CUDA, else MPS, else the CPU."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`bfloat16`: matrix products in bfloat16, weights and everything delicate in float32. `auto`: that
    where the processor is really faster in it, measured once."""
    threads: int = 0
    """Of the CPU; 0 = torch's own choice, most often all cores."""
    attention: Literal["auto", "sdpa", "matmul"] = "auto"
    """How training computes attention over short rows: PyTorch's fused kernel, or matrix products."""
    recompute: bool = False
    """Compute what is inside a layer again for the backward pass, rather than keep it."""
    compile: bool = False
    """Compile each layer by `torch.compile` for training: a minute or more at the start, for long runs on a
    GPU; it needs a compiler. A run that goes on then agrees with an uninterrupted one but for rounding."""
    parallel: Parallel = "ddp"
    """With several processes: `ddp`, each holds the whole model; `fsdp`, each holds a shard of it."""

    def __post_init__(self) -> None:
        refuse_out_of_range("runtime", self, [("threads", 0 <= self.threads <= 1024, "from 0 to 1024")])


def choose_device(wanted: str = "auto") -> torch.device:
    """The named device, or the fastest there is. Raises RecipeError for one that is unknown or missing."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if wanted not in present:
        raise RecipeError(f"there is no device {wanted!r}: choose from auto, cpu, cuda, mps")
    if not present[wanted]:
        there = ", ".join(name for name, is_there in present.items() if is_there)
        raise RecipeError(f"device {wanted!r}: this machine has none; it has {there}")
    return torch.device(wanted)


def choose_precision(wanted: Literal["auto", "float32", "bfloat16"], device: torch.device) -> Precision:
    """The wanted precision; for "auto", bfloat16 where the processor is really faster in it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type != "cpu":
        return "float32"
    return "bfloat16" if measured_once("bfloat16", _speedup_of_bfloat16) >= 1.5 else "float32"


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """The context in which a forward pass computes in `precision`."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def cache_folder() -> Path:
    """Where measurements are kept between runs: $HEADWAY_CACHE, else the user's cache folder."""
    if folder := os.environ.get("HEADWAY_CACHE"):
        return Path(folder)
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "headway"


def measured_once(name: str, measure: Callable[[], float]) -> float:
    """A ratio of speeds on this processor, kept in the cache folder."""
    threads = torch.get_num_threads()
    key = f"{platform.machine()} {_processor_name()} torch {torch.__version__} threads {threads}"
    file = cache_folder() / f"{name}.json"
    known: dict[str, float] = {}
    try:
        known = dict(json.loads(file.read_text("utf-8")))
        return float(known[key])
    except (OSError, ValueError, KeyError, TypeError):
        speedup = measure()
    mine = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        mine.write_text(json.dumps({**known, key: round(speedup, 3)}), "utf-8")
        mine.replace(file)  # whole at any time: others may be reading it
    except OSError:
        pass  # a read-only home: it is measured again next time
    return speedup


def keep_memory() -> None:
    """Let freed memory, up to `KEPT` bytes, stay for what is wanted next, and not go back to the system.

    A search with many rows wants some ten megabytes at each step, and to have them from the system anew
    took a tenth of its time. The C library of GNU can do so; where MALLOC_… tells it what to do, that stands.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is None or any(name.startswith("MALLOC_") for name in os.environ):
        return
    for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
        set_option(option, KEPT)


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Compute with so many of them for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def best_seconds(work: Callable[[], object], times: int = 8) -> float:
    """What the fastest of several turns takes."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _speedup_of_bfloat16() -> float:
    """How many times faster a layer-sized product is in bfloat16."""

    def seconds(kind: torch.dtype) -> float:
        x, weight = torch.randn(1024, 256).to(kind), torch.randn(512, 256).to(kind)
        return best_seconds(lambda: torch.nn.functional.linear(x, weight))

    return seconds(torch.float32) / seconds(torch.bfloat16)


def _processor_name() -> str:
    """The processor's model where the system tells it; it decides what bfloat16 is worth."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
