"""Real training processes that can be hurt cheaply: forked from a parent that has imported everything.

`Nursery` starts that parent; `Nursery.begin` forks a child that runs the command line as `headway` does, in a
session of its own, and perhaps with a wound: something that happens at its n-th file operation, or at its
n-th call of a function.
"""

import errno
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

FILE_EVENTS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree")
"""Python's names of what is done to files, as its audit hooks are told them."""

PATIENCE = 120.0
"""Seconds after which a process counts as hanging."""


@dataclass(frozen=True)
class Wound:
    """What happens to a process, and when: at the n-th file operation below `at`, or call of the function.

    `how`: kill, terminate, interrupt (signals), full or read-only (the operation and all later ones that
    write fail). `n` counts from 1; 0 = never, but operations are counted up to the last that would be hurt.
    """

    how: str
    at: str
    n: int


@dataclass(frozen=True)
class End:
    """How a process ended: with an exit status, or negative by a signal."""

    status: int
    log: str
    seconds: float

    @property
    def for_a_shell(self) -> int:
        return self.status if self.status >= 0 else 128 - self.status

    @property
    def is_clean(self) -> bool:
        """Whether whatever it had to say was said in words."""
        return "Traceback" not in self.log


class Nursery:
    """The parent process; use it in a `with`."""

    def __enter__(self) -> "Nursery":
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        pipe = subprocess.PIPE
        command = [sys.executable, __file__]
        self.parent = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.close()
        self.parent.wait()
        self.parent.stdout.close()

    def begin(self, arguments: Sequence[str], log: Path, wound: Wound | None = None) -> "Victim":
        """Start `headway ARGUMENTS…`."""
        told = None if wound is None else [wound.how, wound.at, wound.n]
        pid = self._ask({"arguments": list(arguments), "log": str(log), "wound": told})
        return Victim(self, int(pid), log)

    def run(self, arguments: Sequence[str], log: Path, wound: Wound | None = None) -> End:
        return self.begin(arguments, log, wound).end()

    def ended(self, pid: int) -> int | None:
        """The exit status of a child, or None while it runs."""
        answer = self._ask({"ended": pid})
        return None if answer is None else int(answer)

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write(json.dumps(question) + "\n")
        self.parent.stdin.flush()
        return json.loads(self.parent.stdout.readline())


class Victim:
    """One training process."""

    def __init__(self, nursery: Nursery, pid: int, log: Path) -> None:
        self.nursery, self.pid, self.log, self.began = nursery, pid, log, time.monotonic()

    def send(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it has ended; the parent keeps its number until it is asked
            os.kill(self.pid, number)

    def end(self, pause: float = 0.005) -> End:
        """Wait until it ends; one that hangs is killed, which shows in its status."""
        while (status := self.nursery.ended(self.pid)) is None:
            if time.monotonic() - self.began > PATIENCE:
                self.send(signal.SIGKILL)
            time.sleep(pause)
        text = self.log.read_text("utf-8", errors="replace") if self.log.exists() else ""
        return End(status, text, time.monotonic() - self.began)


def serve() -> None:
    """What the parent does: fork children, and say how they ended."""
    for name in (
        "headway.__main__",
        "headway.cli",
        "headway.launch",
        "headway.samples",
        "torch._dynamo",
        "torch.optim",
    ):
        importlib.import_module(name)
    for line in sys.stdin:
        question = json.loads(line)
        if "ended" in question:
            pid, status = os.waitpid(question["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                live(question)
        print(json.dumps(answer), flush=True)


def live(question: dict[str, Any]) -> None:
    """The life of a child: the command line, on files of its own."""
    os.setsid()
    log = os.open(question["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, end in enumerate((nothing, log, log)):
        os.dup2(end, number)
    sys.argv = ["headway", *question["arguments"]]
    status, begun = 1, False
    try:
        if question["wound"] is not None:
            hurt(Wound(*question["wound"]), Path(question["log"]).with_suffix(".count"))
        from headway.__main__ import main

        begun = True
        main()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1 if error.code else 0
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not begun:
            status = 130  # Python itself ends so
        else:
            traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def hurt(wound: Wound, count: Path) -> None:
    """Prepare the wound in this process; or count its operations, in the file `count`."""
    if not Path(wound.at).is_absolute():
        hurt_calls(wound)
        return
    numbers = iter(range(1, 1 << 60))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in FILE_EVENTS or not str(arguments[0]).startswith(wound.at):
            return
        number = next(numbers)
        if not wound.n:
            if is_hurt(wound.how, event, arguments):
                count.write_text(str(number), "utf-8")
        elif number == wound.n or (number > wound.n and wound.how in ("full", "read-only")):
            strike(wound.how, event, arguments)

    sys.addaudithook(hook)


def hurt_calls(wound: Wound) -> None:
    """Of a function named by its module, as in `headway.trainer:token_loss`, or of a method."""
    place, _, name = wound.at.partition(":")
    *inside, name = name.split(".")
    owner = reduce(getattr, inside, importlib.import_module(place))
    function: Callable[..., Any] = getattr(owner, name)
    calls = iter(range(1, 1 << 60))

    def wrapped(*some: Any, **named: Any) -> Any:
        if next(calls) == wound.n:
            strike(wound.how, name, some)
        return function(*some, **named)

    setattr(owner, name, wrapped)


def strike(how: str, event: str, arguments: tuple[Any, ...]) -> None:
    signals = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}
    if how in signals:
        os.kill(os.getpid(), signals[how])
        return
    if is_hurt(how, event, arguments):
        number = errno.ENOSPC if how == "full" else errno.EROFS
        raise OSError(number, os.strerror(number), str(arguments[0]))


def is_hurt(how: str, event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an operation fails on a disk that is full or read-only."""
    writes = event != "open" or (len(arguments) > 2 and int(arguments[2]) & (os.O_WRONLY | os.O_RDWR))
    removes = event in ("os.remove", "os.rmdir", "shutil.rmtree")
    return bool(writes) and not (how == "full" and removes)


if __name__ == "__main__":
    serve()
