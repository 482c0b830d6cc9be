"""Trains and judges by the command line, as a person would, several runs side by side."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

from safetensors import safe_open

from headway.run_folder import RunFolder

Row = TypeVar("Row")

USER_ERROR = 2
"""The exit status where a person has to change something."""


STOPPED = (130, 143, -signal.SIGINT, -signal.SIGTERM)
"""How a program ends that was asked to."""


class StoppedError(Exception):
    """A program was asked to stop; what it did goes on when it is started again."""


class FailedError(Exception):
    """A program ended as none should; the message says which, and its last line."""


class Programs:
    """Runs `headway …` in processes of their own and ends them when this one is ended.

    With `threads` above 0 each of them computes with so many.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._is_stopping = False

    def train(self, folder: Path, arguments: Sequence[str]) -> str:
        """Train in the folder, or go on there; empty, or what the program said where training cannot be.

        Raises StoppedError if it was asked to stop, FailedError if it ended in another way.
        """
        if RunFolder(folder).is_finished:
            return ""
        if RunFolder(folder).exists:
            command = ["train", str(folder)]
        else:
            command = ["train", *arguments, "--out", str(folder)]
        folder.parent.mkdir(parents=True, exist_ok=True)
        log = folder.with_name(f"{folder.name}.log")
        with log.open("a", encoding="utf-8") as written:
            status, _ = self._run(["-m", "headway", *command], written)
        said = "".join(log.read_text("utf-8").strip().splitlines()[-1:])
        if status == USER_ERROR:
            return said
        _check(status, f"{folder.name}: headway train", said)
        return ""

    def evaluate(self, *arguments: str | Path) -> dict[str, Any]:
        """What `headway evaluate … --json` gives. Raises StoppedError or FailedError."""
        return self.json(["-m", "headway", "evaluate", *map(str, arguments), "--json"])

    def json(self, command: Sequence[str]) -> dict[str, Any]:
        """The JSON object that a Python program writes. Raises StoppedError or FailedError."""
        status, written = self._run(command, None)
        _check(status, " ".join(command[:3]), "")
        found: dict[str, Any] = json.loads(written)
        return found

    def end(self) -> None:
        """Ask all that run to stop, which save first; none begins any more."""
        with self._lock:
            self._is_stopping = True
            for process in self._running:
                process.send_signal(signal.SIGTERM)

    def _run(self, command: Sequence[str], log: Any) -> tuple[int, str]:
        """The exit status of a Python program, and what it wrote to stdout."""
        environment = {**os.environ}
        if self.threads:
            environment |= {"OMP_NUM_THREADS": str(self.threads), "RAYON_NUM_THREADS": str(self.threads)}
        with self._lock:
            if self._is_stopping:
                raise StoppedError("asked to stop")
            process = subprocess.Popen(
                [sys.executable, *command],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                env=environment,
                start_new_session=True,  # what a terminal sends comes to this process alone, and once
            )
            self._running.add(process)
        try:
            written, _ = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        return process.returncode, written


def _check(status: int, what: str, said: str) -> None:
    if status in STOPPED:
        raise StoppedError(f"{what} was stopped")
    if status:
        raise FailedError(f"{what} ended with status {status}: {said}")


def finished(
    jobs: Sequence[Callable[[], Row]], at_once: int, programs: Programs, say: Callable[[str], None]
) -> Iterator[Row]:
    """What the jobs give, as they end, so many at a time; ends early where this process is asked to stop.

    A job that failed gives nothing, which is said; one that was stopped ends the others too.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    waiting, running = list(reversed(jobs)), set[Future[Row]]()
    try:
        with ThreadPoolExecutor(at_once) as pool:
            try:
                while running or waiting:
                    while waiting and len(running) < at_once:
                        running.add(pool.submit(waiting.pop()))
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for each in done:
                        try:
                            yield each.result()
                        except FailedError as failed:
                            say(str(failed))
            except (KeyboardInterrupt, StoppedError):
                signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is told twice by some
                say("stopping; what is trained is saved")
            finally:
                programs.end()  # the pool waits for what still runs
    finally:
        signal.signal(signal.SIGTERM, before)


def facts_of(folder: Path) -> dict[str, Any]:
    """What a finished run left: steps, passes, seconds, speed, parameters, figures on its held-out part."""
    path = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    nothing = {"step": 0, "epoch": 0.0, "seconds": 0.0, "tokens": 0}  # a run may end before its first line
    last = next((line for line in reversed(lines) if "loss" in line), nothing)
    config = json.loads((RunFolder(folder).model / "config.json").read_text("utf-8"))
    return {
        "steps": last["step"],
        "epochs": round(last["epoch"], 2),
        "seconds": last["seconds"],
        "parameters": _parameters(RunFolder(folder).model / "model.safetensors"),
        "tokens_per_second": round(last["tokens"] / max(last["seconds"], 1e-9)),
        "held_out": config["info"]["metrics"],
    }


def _parameters(weights: Path) -> int:
    with safe_open(weights, "numpy") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def measure_of(evaluation: Mapping[str, Any], name: str, system: str = "model") -> dict[str, Any] | None:
    """One measure of a system in what `headway evaluate` gave; None if it has none of that name."""
    measures = evaluation["systems"][system]
    return next((measure for measure in measures if measure["name"] == name), None)
