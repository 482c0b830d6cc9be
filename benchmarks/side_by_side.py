"""Contenders in processes of their own that work in turn: A B A B …, so that all meet the same moods.

A contender is a program with a `Post`, or that calls `serve`: it gets ready, then works for one window
whenever it is asked to, and tells what that took. While one works the others sleep.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

SETTLE = 0.3
"""Seconds between two windows: threads of the one before have gone to sleep."""

Window = dict[str, Any]


class NotReadyError(RuntimeError):
    """A contender that cannot take part, and why."""


@dataclass
class Contender:
    """One program in the contest."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    """What it told of itself when it was ready."""
    windows: dict[str, list[Window]] = field(default_factory=dict)
    """What it told of each job, round by round."""
    peak_mib: float = 0.0
    _process: subprocess.Popen[str] | None = None
    _told: IO[str] | None = None
    """What it writes to standard error."""

    def start(self) -> None:
        """Raises NotReadyError with the last line of what the program wrote, if it ends instead."""
        self._told = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed when it ends)
        self._process = subprocess.Popen(
            self.command,
            env={**os.environ, **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._told,
            text=True,
        )
        self.about = self._read()

    def work(self, job: str, number: int) -> Window:
        """One window of a job, by its number."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"{number} {job}\n")
        self._process.stdin.flush()
        return self._read()

    def finish(self) -> None:
        """Let it end; what it held at most is known then."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        if process.poll() is None and process.stdout is not None:
            line = process.stdout.readline()
            if line:
                self.peak_mib = json.loads(line)["peak_mib"]
            process.wait()
        for stream in (process.stdout, self._told):
            if stream is not None:
                stream.close()

    def _read(self) -> Window:
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            assert self._told is not None
            self._told.seek(0)
            lines = self._told.read().strip().splitlines()
            raise NotReadyError(lines[-1] if lines else "it said nothing")
        found: Window = json.loads(line)
        return found


class Post:
    """A contender's line to the contest. What its libraries print goes nowhere."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)

    def tell(self, found: Mapping[str, Any]) -> None:
        """About oneself when one is ready, and then what was done in each window."""
        self._out.write(json.dumps(dict(found)) + "\n")

    def orders(self) -> Iterator[tuple[str, int]]:
        """Jobs and numbers of windows to work for, until there are no more."""
        for line in sys.stdin:
            number, _, job = line.strip().partition(" ")
            yield job, int(number)
        self.tell({"peak_mib": round(peak_mib())})


def peak_mib() -> float:
    """The most memory that this program held; `ru_maxrss` would count what its parent held when it began."""
    if sys.platform.startswith("linux"):
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def serve(ready: Callable[[], Mapping[str, Any]], work: Callable[[str, int], Mapping[str, Any]]) -> None:
    """A contender's side: get ready, tell about oneself, and work whenever a job comes.

    `work` returns what was done; the seconds that it took are added unless it tells them.
    """
    post = Post()
    post.tell(ready())
    for job, number in post.orders():
        start = time.perf_counter()
        done = work(job, number)
        post.tell({"seconds": time.perf_counter() - start, **done})


def contest(
    contenders: Sequence[Contender],
    rounds: int,
    jobs: Sequence[str] = ("all",),
    between: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> dict[str, str]:
    """Let them work in turn, after one window each that does not count; who could not take part, and why.

    `between` is called before each round: there the machine is measured.
    """
    left_out: dict[str, str] = {}
    try:
        for each in contenders:
            try:
                each.start()
                for job in jobs:
                    each.work(job, 0)
            except NotReadyError as error:
                left_out[each.name] = str(error)
                say(f"{each.name}: left out: {error}")
        for number in range(1, rounds + 1):
            between()
            for job in jobs:
                figures = []
                for each in contenders:
                    if each.name not in left_out:
                        time.sleep(SETTLE)
                        window = each.work(job, number)
                        each.windows.setdefault(job, []).append(window)
                        figures.append(f"{each.name} {window['seconds']:.2f} s")
                say(f"round {number} of {rounds}, {job}: {', '.join(figures)}")
    finally:
        for each in contenders:
            each.finish()
    return left_out


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles, four digits of each."""
    low, median, high = statistics.quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return {"q1": rounded(low), "median": rounded(median), "q3": rounded(high)}


def rounded(value: float, digits: int = 4) -> float:
    return float(f"{value:.{digits}g}")


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """How many times as fast: of the medians, with the lowest and the highest of the rounds."""
    rounds = [a / b for a, b in zip(ours, theirs, strict=True)]
    of_medians = statistics.median(ours) / statistics.median(theirs)
    return {"ratio": rounded(of_medians, 3), "low": rounded(min(rounds), 3), "high": rounded(max(rounds), 3)}


def shown(found: Mapping[str, float]) -> str:
    """A ratio as a cell of a table."""
    return f"{found['ratio']:.2f} ({found['low']:.2f}–{found['high']:.2f})"
