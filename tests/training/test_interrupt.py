"""The first signal is noted, a second one acts."""

import signal
import threading

import pytest

from headway.training.interrupt import (
    Interruption,
    TerminatedError,
    exit_status,
    interruption,
    termination,
)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_is_noted(number: signal.Signals, status: int) -> None:
    with interruption() as asked:
        assert not asked
        signal.raise_signal(number)
        assert asked
        assert asked.exit_status == status


def test_the_second_acts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), interruption() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked
        signal.raise_signal(signal.SIGINT)
    assert asked.exit_status == 130


def test_after_one_signal_the_other_acts_too() -> None:
    acted: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: acted.append(number))
    try:
        with interruption():
            signal.raise_signal(signal.SIGINT)
            assert acted == []
            signal.raise_signal(signal.SIGTERM)
            assert acted == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("signals", [0, 1])
def test_handlers_come_back(signals: int) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with interruption():
        assert signal.getsignal(signal.SIGINT) is not before[0]
        for _ in range(signals):
            signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_outside_the_main_thread_it_stands_back() -> None:
    """Python lets the main thread alone set handlers."""
    found: list[Interruption] = []

    def work() -> None:
        with interruption() as asked:
            found.append(asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(found) == 1
    assert not found[0]


def test_termination_acts_as_ctrl_c_does() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, termination():
        signal.raise_signal(signal.SIGTERM)
    assert exit_status(caught.value) == 143
    assert exit_status(KeyboardInterrupt()) == 130
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_second_termination_ends_the_process() -> None:
    with termination():
        with pytest.raises(TerminatedError):
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_after_one_that_was_noted_termination_acts() -> None:
    with pytest.raises(TerminatedError), termination(), interruption() as asked:
        signal.raise_signal(signal.SIGTERM)
        assert asked
        signal.raise_signal(signal.SIGTERM)


def test_who_has_a_handler_keeps_it() -> None:
    acted: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: acted.append(number))
    try:
        with termination():
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert acted == [signal.SIGTERM, signal.SIGTERM]
