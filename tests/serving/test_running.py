"""The law of the running batch: whoever else is in it, a request finds what it finds alone."""

import random
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headway.api import Pipeline, load
from headway.decoding.generator import Generator
from headway.decoding.settings import SearchConfig
from headway.model.architectures import build
from headway.serving.asking import Wanted, plan
from headway.serving.scheduler import Scheduler
from tests.tiny import WORDS

WAYS: list[dict[str, Any]] = [
    {"method": "greedy"},
    {"method": "greedy", "min_length": 4, "max_length": 9},
    {"method": "greedy", "repetition_penalty": 1.4},
    {"method": "beam", "beams": 4, "n_best": 2},
    {"method": "beam", "beams": 3, "length_penalty": 0.0, "max_length": 7},
    {"method": "beam", "beams": 1},
    {"method": "sample", "n_best": 3, "seed": 5},
    {"method": "sample", "temperature": 0.7, "top_p": 0.9},
    {"method": "sample", "top_k": 5, "min_p": 0.01, "repetition_penalty": 1.5},
]


def asked_for(pipeline: Pipeline, texts: list[str], way: dict[str, Any]) -> Any:
    wanted = Wanted(search=SearchConfig(**way), alternatives=2, longest=100)
    return plan(pipeline, texts, wanted)


@pytest.mark.parametrize("kind", ["pairs", "causal"])
@pytest.mark.parametrize("budget", [1500, pytest.param(1, marks=pytest.mark.slow)])
def test_all_ways_of_searching_at_once(tiny_runs: dict[str, Path], kind: str, budget: int) -> None:
    pipeline, choose = load(tiny_runs[kind]), random.Random(budget)
    scheduler = Scheduler(pipeline.ensemble, budget, 1000)
    asked: list[tuple[str, dict[str, Any], Any, Future[Any]]] = []
    for number in range(20):
        text = (
            choose.choice(WORDS)[: choose.randint(1, 3)] if kind == "pairs" else " ".join(WORDS[number:][:4])
        )
        way = choose.choice(WAYS)
        the_plan = asked_for(pipeline, [text], way)
        asked.append((text, way, the_plan, scheduler.search(the_plan.asks)))
        if number % 7 == 0:
            time.sleep(0.005)
    for text, way, the_plan, future in asked:
        alone = Generator(pipeline.ensemble, SearchConfig(**way)).generate([text])[0]
        found = the_plan.answers(future.result(30))[0]
        assert [each.text for each in found] == [each.text for each in alone], (text, way)
        assert [each.finished for each in found] == [each.finished for each in alone]
        assert [each.score for each in found] == pytest.approx([each.score for each in alone], abs=1e-4)
        for each, other in zip(found, alone, strict=True):
            assert "".join(token.text for token in each.tokens) == each.text
            told = [token.log_prob for token in each.tokens]
            assert told == pytest.approx(other.log_probs[: len(told)], abs=1e-4)
    scheduler.close()
    scheduler.join(10)


def test_those_that_come_later_join_those_that_run(tiny_runs: dict[str, Path]) -> None:
    pipeline = load(tiny_runs["causal"])
    scheduler = Scheduler(pipeline.ensemble, 10_000, 100)
    plans = [asked_for(pipeline, [word], {"method": "greedy", "min_length": 20}) for word in WORDS[:16]]
    futures = [scheduler.search(each.asks) for each in plans]
    for future in futures:
        future.result(30)
    rows_at_once = scheduler.counts.rows / scheduler.counts.steps
    assert rows_at_once > 4
    assert scheduler.counts.steps < 16 * 20 / 2
    scheduler.close()


def test_several_lines_are_read_apart_and_keep_their_breaks(tiny_runs: dict[str, Path]) -> None:
    pipeline = load(tiny_runs["pairs"])
    scheduler = Scheduler(pipeline.ensemble, 1000, 100)
    text = " bal\r\n\n  bam\nnul "
    the_plan = asked_for(pipeline, [text, "   "], {"method": "greedy"})
    found = the_plan.answers(scheduler.search(the_plan.asks).result(30))
    greedy = pipeline.with_search({"method": "greedy"})
    bal, bam, nul = greedy.predict(["bal", "bam", "nul"])
    assert found[0][0].text == f" {bal}\r\n\n  {bam}\n{nul} "
    assert "".join(token.text for token in found[0][0].tokens) == found[0][0].text
    assert found[1][0].text == "   "
    scheduler.close()


def test_one_that_is_given_up_leaves_the_others_as_they_are(tiny_runs: dict[str, Path]) -> None:
    pipeline = load(tiny_runs["causal"])
    scheduler = Scheduler(pipeline.ensemble, 10_000, 100)
    way = {"method": "beam", "beams": 2, "min_length": 15}
    kept = asked_for(pipeline, [WORDS[0]], way)
    futures = [scheduler.search(asked_for(pipeline, [word], way).asks) for word in WORDS[1:9]]
    future = scheduler.search(kept.asks)
    for each in futures:
        each.cancel()
    alone = Generator(pipeline.ensemble, SearchConfig(**way)).generate([WORDS[0]])[0]
    assert kept.answers(future.result(30))[0][0].text == alone[0].text
    assert scheduler.rows == 0
    scheduler.close()


def test_a_model_may_have_room_for_more_tokens_than_there_are(tiny_runs: dict[str, Path]) -> None:
    """Models that come from elsewhere pad their vocabulary."""
    trained = load(tiny_runs["causal"]).bundle
    torch.manual_seed(0)
    config = replace(trained.config, vocab_size=trained.config.vocab_size + 50)
    pipeline = Pipeline(replace(trained, config=config, model=build(config).eval()))
    scheduler = Scheduler(pipeline.ensemble, 10_000, 100)
    ways = [{"method": "greedy"}, {"method": "beam", "beams": 3}, {"method": "sample", "n_best": 2}]
    plans = [asked_for(pipeline, ["bal"], {**way, "max_length": 6}) for way in ways]
    futures = [scheduler.search(each.asks) for each in plans]
    for way, each, future in zip(ways, plans, futures, strict=True):
        alone = Generator(pipeline.ensemble, SearchConfig(**{**way, "max_length": 6})).generate(["bal"])[0]
        assert [found.text for found in each.answers(future.result(30))[0]] == [one.text for one in alone]
    scheduler.close()
