import os
import time
from collections.abc import Iterator
from functools import partial

import pytest

from headway.decoding.processes import Lines, Work, in_processes
from headway.errors import UserError


def answer(part: Lines) -> Lines:
    """Slow at the first part, so that others overtake it; some texts are not answered."""
    match part:
        case ["slow"]:
            time.sleep(0.3)
        case ["wrong"]:
            raise UserError("this text is wrong")
        case ["die"]:
            os._exit(3)
    return [f"{text} {os.getpid()}" for text in part]


def open_answer() -> Work:
    return answer


def open_nothing(message: str) -> Work:
    raise UserError(message)


def words(answers: Lines) -> list[str]:
    return [each.split()[0] for each in answers]


def test_answers_come_in_order_from_several_processes_that_are_gone_afterwards() -> None:
    read: list[int] = []

    def parts() -> Iterator[Lines]:
        for number in range(12):
            read.append(number)
            yield ["slow"] if number == 0 else [str(number), "and"]

    found: list[str] = []
    for received, each in enumerate(in_processes(open_answer, parts(), 2)):
        assert len(read) <= received + 1 + 2 * 2, "read further ahead than was said"
        found += each
    assert words(found) == ["slow", *(word for number in range(1, 12) for word in (str(number), "and"))]
    workers = {int(each.split()[1]) for each in found}
    assert len(workers) == 2
    assert os.getpid() not in workers
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_no_more_processes_start_than_there_are_parts() -> None:
    [[found]] = in_processes(open_answer, [["one"]], 8)
    assert found.startswith("one ")
    assert list(in_processes(open_answer, [], 8)) == []


def test_what_goes_wrong_in_a_process_is_said() -> None:
    with pytest.raises(UserError, match="this text is wrong"):
        list(in_processes(open_answer, [["wrong"], ["fine"]], 1))
    with pytest.raises(UserError, match="no such folder"):
        list(in_processes(partial(open_nothing, "no such folder"), [["fine"]], 1))


def test_a_process_that_is_killed_is_reported_and_not_waited_for() -> None:
    answers = in_processes(open_answer, [["fine"], ["die"], ["fine"]], 1)
    assert words(next(answers)) == ["fine"]
    with pytest.raises(UserError, match=r"ended with exit status 3.*fewer processes"):
        next(answers)
