"""The queue is bounded, nothing is lost, and one that fails takes nobody with it."""

import io
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from headway.api import load
from headway.decoding.settings import SearchConfig
from headway.errors import UserError
from headway.serving.asking import Wanted, plan
from headway.serving.given import Given, read_given
from headway.serving.refusal import Refusal
from headway.serving.scheduler import Scheduler
from tests.serving.live import wait_until


@pytest.fixture
def scheduler(tiny_runs: dict[str, Path]) -> Any:
    found = Scheduler(load(tiny_runs["causal"]).ensemble, 1000, 4)
    yield found
    found.close(at_once=True)
    found.join(10)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What is logged in a test."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    logging.getLogger().addHandler(handler)
    yield text
    logging.getLogger().removeHandler(handler)


class Gate:
    """A pass that waits, so that a queue fills behind it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.open, self.begun = threading.Event(), threading.Event()
        self.future = scheduler.compute("gate", self.run, [1], 1)
        assert self.begun.wait(10)

    def run(self, items: list[Any]) -> list[Any]:
        self.begun.set()
        self.open.wait(10)
        return items


def double(items: list[int]) -> list[int]:
    return [2 * each for each in items]


def test_a_full_queue_refuses_and_says_when_to_come_again(scheduler: Scheduler) -> None:
    gate = Gate(scheduler)
    waiting = [scheduler.compute("double", double, [i, i], 1) for i in range(2)]
    with pytest.raises(Refusal, match="waiting") as caught:
        scheduler.compute("double", double, [1], 1)
    assert (caught.value.status, caught.value.retry_after) == (429, 1)
    gate.open.set()
    assert [each.result(10) for each in waiting] == [[0, 0], [2, 2]]


def test_one_that_is_larger_than_the_queue_gets_its_turn(scheduler: Scheduler) -> None:
    assert scheduler.compute("double", double, list(range(9)), 1).result(10) == double(list(range(9)))


def test_passes_of_a_kind_are_computed_together(scheduler: Scheduler) -> None:
    gate, seen = Gate(scheduler), []

    def run(items: list[int]) -> list[int]:
        seen.append(items)
        return items

    small = [scheduler.compute("same", run, [i], 1) for i in range(2)]
    large = scheduler.compute("same", run, [7], 5000)
    gate.open.set()
    assert [each.result(10) for each in (*small, large)] == [[0], [1], [7]]
    assert seen == [[0, 1], [7]]


def test_what_fails_fails_alone_and_tells_nothing_from_inside(
    scheduler: Scheduler, logged: io.StringIO
) -> None:
    def fail(items: list[Any]) -> list[Any]:
        raise RuntimeError("/secret/path")

    def refuse(items: list[Any]) -> list[Any]:
        raise UserError("no blank in it")

    with pytest.raises(Refusal, match="failed on this request"):
        scheduler.compute("fail", fail, [1], 1).result(10)
    assert "/secret/path" in logged.getvalue()
    with pytest.raises(Refusal, match="no blank in it") as caught:
        scheduler.compute("refuse", refuse, [1], 1).result(10)
    assert caught.value.status == 422
    assert scheduler.compute("double", double, [2], 1).result(10) == [4]


def test_a_step_that_fails_leaves_a_server_that_goes_on(tiny_runs: dict[str, Path]) -> None:
    pipeline = load(tiny_runs["causal"])
    scheduler = Scheduler(pipeline.ensemble, 1000, 10)
    wanted = Wanted(search=SearchConfig(method="greedy", max_length=5), longest=100)
    asks = plan(pipeline, ["bal"], wanted).asks
    weight = pipeline.bundle.model.embedding.tokens.weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight.fill_(torch.nan)
    with pytest.raises(Refusal, match="no number"):
        scheduler.search(asks).result(10)
    with torch.no_grad():
        weight.copy_(before)
    assert scheduler.search(asks).result(10)
    scheduler.close()
    scheduler.join(10)


def test_closing_finishes_what_was_asked_for_and_takes_no_more(scheduler: Scheduler) -> None:
    gate = Gate(scheduler)
    waiting = scheduler.compute("double", double, [1], 1)
    scheduler.close()
    with pytest.raises(Refusal, match="about to stop") as caught:
        scheduler.compute("double", double, [1], 1)
    assert caught.value.status == 503
    gate.open.set()
    assert waiting.result(10) == [2]
    scheduler.join(10)


def test_closing_at_once_tells_those_that_wait(scheduler: Scheduler) -> None:
    gate = Gate(scheduler)
    waiting = scheduler.compute("double", double, [1], 1)
    scheduler.close(at_once=True)
    with pytest.raises(Refusal, match="about to stop"):
        waiting.result(10)
    gate.open.set()


def test_given_tokens_are_told_what_a_score_tells(tiny_runs: dict[str, Path]) -> None:
    for kind, sources in (("causal", None), ("pairs", ["bal", "gun"])):
        pipeline = load(tiny_runs[kind])
        texts = ["bal ban", "gun"] if kind == "causal" else ["l a b", "n"]
        scores = pipeline.score(texts, sources)
        source, target = pipeline.bundle.tokenizers
        read = read_given(
            pipeline.ensemble,
            [
                Given(source.encode(sources[i]) if source and sources else None, target.encode(text), 3)
                for i, text in enumerate(texts)
            ],
        )
        for found, score in zip(read, scores, strict=True):
            assert [each.log_prob for each in found] == pytest.approx(score.log_probs[:-1], abs=1e-4)
            for each in found:
                assert [value for _, value in each.alternatives] == sorted(
                    (value for _, value in each.alternatives), reverse=True
                )
    assert read_given(pipeline.ensemble, []) == []


def test_it_ends_though_nobody_woke_it(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the last reference to its model goes in its own thread, just before that sleeps."""
    monkeypatch.setattr("headway.serving.scheduler.LONGEST_NAP", 0.01)
    own = Scheduler(scheduler.ensemble, 1000, 4)
    wait_until(lambda: bool(own._changed._waiters))  # type: ignore[attr-defined]
    own._closed = True
    own.join(10)
    assert not own._thread.is_alive()
