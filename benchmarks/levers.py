"""What each lever of decoding brings: python benchmarks/levers.py [--data FOLDER] [--rounds N]

Each is taken away alone, and the same sentences are decoded with and without it in turn, in one process and
one thread, random weights in the shape of the work `small`, every output 15 tokens long. Processor time is
compared, so that what else the machine does matters little. Figures go to
benchmarks/results/decoding-levers.json and .md, and into docs/speed.md.
"""

import copy
import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from machine import machine
from publish import parsed, parser_of, publish, where
from side_by_side import ratio, shown
from torch import Tensor
from works import pairs, workplace

from decoding import FORCED, bundle_of
from headway import runtime
from headway.decoding import beam, sample
from headway.decoding.ensemble import Ensemble, ensemble_of
from headway.decoding.generator import Generator
from headway.decoding.layout import lay_out_for_few_rows, preparation, quantize
from headway.decoding.settings import SearchConfig
from headway.decoding.steps import CachedSteps
from headway.decoding.straight import straighten
from headway.model import cache
from headway.model.cache import Cache

JOBS = {"one at a time, greedy": (1, 1, 8), "batch 64, greedy": (64, 1, 64), "batch 64, beam 5": (64, 5, 64)}
"""Sentences of a batch, beams, sentences of a turn."""
ROUNDS = 7
LAYOUT = "matrices laid out for few rows"
STRAIGHT = "layers on plain objects"
IN_C = "steps in C"
ONE_PASS = "the likeliest tokens in one pass"
KEPT = "freed memory is kept"
INT8 = "8-bit matrices (`--precision int8`)"


@contextmanager
def with_version_counters() -> Iterator[None]:
    """Steps under no_grad, which still keeps account of every change and view."""
    plain = torch.no_grad()
    with ExitStack() as stack:
        stack.enter_context(patch.object(torch, "inference_mode", torch.no_grad))
        for name in ("feed", "spread", "reorder", "keep"):
            inner = getattr(CachedSteps, name).__wrapped__
            stack.enter_context(patch.object(CachedSteps, name, plain(inner)))
        yield


@contextmanager
def with_memory_for_each_beam() -> Iterator[None]:
    """Every beam holds the keys and values of its source."""
    spread = Cache.spread

    def spread_and_copy(self: Cache, copies: int) -> None:
        spread(self, copies)
        self._share_no_more()

    with patch.object(Cache, "spread", spread_and_copy):
        yield


@contextmanager
def with_indexing() -> Iterator[None]:
    """Rows are moved by advanced indexing."""

    def moved(held: Tensor, rows: Tensor, bound: int) -> Tensor:
        if len(rows) != len(held):
            return held[rows]
        held[:, :, :bound] = held[rows, :, :bound]
        return held

    with patch.object(cache, "_moved", moved):
        yield


@contextmanager
def with_a_partial_sort() -> Iterator[None]:
    """The likeliest tokens by PyTorch's `topk` and `argmax`."""
    with (
        patch.object(beam, "largest", lambda x, count: tuple(x.topk(count, dim=1))),
        patch.object(sample, "largest", lambda x, count: (None, x.argmax(dim=1, keepdim=True))),
    ):
        yield


@contextmanager
def with_memory_given_back() -> Iterator[None]:
    """The thresholds that the C library of GNU comes to by itself where such sizes are freed."""
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(runtime.M_TRIM_THRESHOLD, 2**26)
    mallopt(runtime.M_MMAP_THRESHOLD, 2**25)
    try:
        yield
    finally:
        runtime.keep_memory()


@contextmanager
def as_it_is() -> Iterator[None]:
    yield


LEVERS: dict[str, Callable[[], Any]] = {
    IN_C: as_it_is,
    ONE_PASS: with_a_partial_sort,
    KEPT: with_memory_given_back,
    LAYOUT: as_it_is,
    STRAIGHT: as_it_is,
    "inference mode": with_version_counters,
    "beams share the memory of their source": with_memory_for_each_beam,
    "rows moved in one piece each": with_indexing,
    INT8: as_it_is,
}
"""What is gone without each; those that do nothing here are in the model. All but the first three
are measured without steps in C."""


def generator(ensemble: Ensemble, beams: int) -> Generator:
    limits = {"max_length": FORCED, "min_length": FORCED, "max_ratio": 100.0, "batch_tokens": 10**6}
    method = {"method": "greedy"} if beams == 1 else {"method": "beam", "beams": beams}
    return Generator(ensemble, SearchConfig(length_penalty=0.0, **limits, **method))  # type: ignore[arg-type]


def turn(ensemble: Ensemble, texts: list[str], job: str) -> tuple[float, list[list[int]]]:
    """Processor seconds, and the outputs."""
    batch, beams, count = JOBS[job]
    search = generator(ensemble, beams)
    start = time.process_time()
    found: list[list[int]] = []
    for first in range(0, count, batch):
        found += [each[0].ids for each in search.generate(texts[first : first + batch])]
    return time.process_time() - start, found


def measure(data: Path | None, folder: Path, rounds: int, *, quick: bool) -> dict[str, Any]:
    torch.set_num_threads(1)
    lines = pairs(data, folder)
    plain = bundle_of(None, lines, quick=quick)
    laid_out = copy.deepcopy(plain)
    lay_out_for_few_rows(laid_out.model)
    rough = copy.deepcopy(plain)
    quantize(rough.model)
    modules, in_c = copy.deepcopy(laid_out), copy.deepcopy(plain)
    preparation("float32", torch.device("cpu"))(in_c.model)
    for each in (plain, laid_out, rough):
        straighten(each.model)
    usual = ensemble_of([laid_out])
    hastened = ensemble_of([in_c])
    models = {
        IN_C: (hastened, usual),
        ONE_PASS: (hastened, hastened),
        KEPT: (hastened, hastened),
        LAYOUT: (usual, ensemble_of([plain])),
        STRAIGHT: (usual, ensemble_of([modules])),
        INT8: (ensemble_of([rough]), usual),
    }
    texts = [line.split("\t")[0] for line in lines[-64:]]
    rows = []
    for job in JOBS:
        for lever, gone in LEVERS.items():
            with_it, without = models.get(lever, (usual, usual))
            turn(with_it, texts, job)
            speeds: tuple[list[float], list[float]] = ([], [])
            same: list[bool] = []
            for _ in range(rounds):
                seconds, outputs = turn(with_it, texts, job)
                with gone():
                    slower, others = turn(without, texts, job)
                speeds[0].append(1 / seconds)
                speeds[1].append(1 / slower)
                same += [a == b for a, b in zip(outputs, others, strict=True)]
            rows.append(
                {"job": job, "lever": lever, "gain": ratio(*speeds), "same_outputs": sum(same) / len(same)}
            )
    return {
        "text": data.name if data else "of the extra `demo`",
        "quick": quick,
        "rounds": rounds,
        "rows": rows,
        "machine": machine(),
    }


def lines_of(found: dict[str, Any]) -> list[str]:
    lines = [f"| lever | {' | '.join(JOBS)} |", f"| --- |{' ---: |' * len(JOBS)}"]
    for lever in LEVERS:
        cells = [shown(row["gain"]) for row in found["rows"] if row["lever"] == lever]
        lines.append(f"| {lever} | {' | '.join(cells)} |")
    exact = [row["same_outputs"] for row in found["rows"] if row["lever"] != INT8]
    rough = [row["same_outputs"] for row in found["rows"] if row["lever"] == INT8]
    outputs = "are the same" if min(exact) == 1 else "differ"
    return [
        *lines,
        "",
        f"Times as fast as without it, in processor time of one thread; medians of {found['rounds']} rounds "
        f"with the lowest and the highest; the outputs {outputs}, but with 8-bit matrices, where of these "
        f"random weights' outputs at least {min(rough):.0%} stay. Text: {found['text']}. "
        f"{where(found['machine'])}",
    ]


def main() -> None:
    parser = parser_of(__doc__, ROUNDS)
    options = parsed(parser)
    with workplace(None) as folder:
        rounds = 2 if options.quick else options.rounds
        found = measure(options.data, folder, rounds, quick=options.quick)
    lines = lines_of(found)
    print("\n".join(lines))
    publish("decoding-levers", "Levers of decoding", found, lines, options.out)


if __name__ == "__main__":
    main()
