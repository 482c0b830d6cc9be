"""Parts of a text worked on by several processes; what comes of them is in the order of the parts."""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from headway.errors import UserError

PART = 500
"""Texts that are decoded together, those of like length in batches: what one process takes at a time."""

MOST = 16
"""Processes at most, if nobody names a number: each holds the model."""

Lines = list[str]
Work = Callable[[Lines], Lines]


def in_processes(open_work: Callable[[], Work], parts: Iterable[Lines], count: int) -> Iterator[Lines]:
    """What the work makes of each part, by so many processes.

    `open_work` is called in each process, so it must be what pickle can name. Parts are read no further ahead
    than two for each process. Raises UserError as the work does, and if a process is killed.
    """
    workers: dict[Connection, BaseProcess] = {}
    idle, busy = list[Connection](), dict[Connection, int]()
    done: dict[int, Lines] = {}
    due, sent, source = 0, 0, iter(parts)
    try:
        while True:
            may_send = sent - due < 2 * count and (bool(idle) or len(workers) < count)
            if due in done:
                yield done.pop(due)
                due += 1
            elif may_send and (part := next(source, None)) is not None:
                if not idle:
                    connection, process = _start(open_work)
                    workers[connection] = process
                    idle.append(connection)
                connection = idle.pop()
                _send(part, connection, workers[connection])
                busy[connection], sent = sent, sent + 1
            elif busy:
                ready = wait(list(busy))
                for connection in [each for each in busy if each in ready]:
                    done[busy.pop(connection)] = _receive(connection, workers[connection])
                    idle.append(connection)
            else:
                return
    finally:
        for connection, process in workers.items():
            connection.close()
            process.kill()
        for process in workers.values():
            process.join()


class _Failed(NamedTuple):
    """What a worker answers where the work raised an error that a user can understand."""

    message: str


def _start(open_work: Callable[[], Work]) -> tuple[Connection, BaseProcess]:
    """A worker, and the end by which to speak to it."""
    context = multiprocessing.get_context("spawn")  # the same on every system, and safe beside threads
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, open_work), daemon=True)
    with _deaf_to_interrupts():
        process.start()
    theirs.close()  # so that the end of the process is the end of the line
    return ours, process


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """What is started inside ignores Ctrl-C, which is for the process that started it to handle."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(connection: Connection, open_work: Callable[[], Work]) -> None:
    """A worker: answers part after part, until nobody sends any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work: Work | None = None

    def answer(part: Lines) -> Lines | _Failed:
        nonlocal work
        try:
            work = work or open_work()
            return work(part)
        except (UserError, OSError) as error:
            return _Failed(str(error))

    try:
        while True:
            connection.send(answer(connection.recv()))
    except (EOFError, OSError):  # nobody is there any more
        return


def _send(part: Sequence[str], connection: Connection, process: BaseProcess) -> None:
    try:
        connection.send(part)
    except OSError as error:  # a broken pipe would be taken for that of the output
        raise _lost(process) from error


def _receive(connection: Connection, process: BaseProcess) -> Lines:
    try:
        answer = connection.recv()
    except (EOFError, OSError) as error:
        raise _lost(process) from error
    if isinstance(answer, _Failed):
        raise UserError(answer.message)
    found: Lines = answer
    return found


def _lost(process: BaseProcess) -> UserError:
    process.join(timeout=10)
    status = process.exitcode
    how = f"by signal {-status}" if status is not None and status < 0 else f"with exit status {status}"
    return UserError(
        f"one of the processes that shared the work ended {how}, and what it had is lost: "
        "if memory ran out, ask for fewer processes"
    )
