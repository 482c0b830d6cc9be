"""Each sign speaks where its fault is, and is silent short of it."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headway.diagnosis.examination import findings_in
from headway.diagnosis.finding import Finding
from headway.diagnosis.heads import Heads
from headway.diagnosis.history import History, Look, Step
from headway.recipe import read_recipe

from .histories import SOURCES, history, learning, looks, recipe, samples, saying, signs, steps

LOGS = json.loads(Path(__file__).with_name("demo_logs.json").read_text("utf-8"))
"""What the demos wrote down when they ran: step, loss, gradient norm, rate; step, held-out loss, accuracy."""


def only(of: History) -> Finding:
    [finding] = findings_in(of)
    return finding


@pytest.mark.parametrize("name", LOGS)
def test_the_demos_are_healthy(name: str) -> None:
    demo = read_recipe(name, changes={"data": {"train": ["any"]}})
    lines = [
        Step(step=step, loss=loss, gradient_norm=norm, clipped=norm > demo.optimizer.clip, rate=rate)
        for step, loss, norm, rate in LOGS[name]["steps"]
    ]
    found = [
        Look(step=step, metrics={"loss": loss, "accuracy": accuracy}, better=True)
        for step, loss, accuracy in LOGS[name]["looks"]
    ]
    for finished in (False, True):
        assert signs(History(recipe=demo, steps=lines, looks=found, finished=finished)) == []
    for count in range(0, len(lines), 15):  # nor was anything said on the way
        assert signs(History(recipe=demo, steps=lines[:count], looks=[])) == []


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.5])
def test_a_run_that_learns_is_healthy_however_noisy(spread: float) -> None:
    noisy = random.Random(0)
    losses = [loss + noisy.uniform(-spread, spread) for loss in learning(300)]
    assert signs(history(losses, looks=looks(3.0, 2.0, 1.5, 1.2, 1.1))) == []
    assert signs(history([])) == []


def test_divergence_takes_back_what_was_learned() -> None:
    gone = only(history([*learning(50), *[3.9] * 10]))
    assert gone.sign == "divergence"
    assert gone.figures["best_step"] == pytest.approx(50, abs=2)
    assert "optimizer.rate=0.0003" in gone.remedy
    assert signs(history([*learning(50), 3.9, *learning(50, start=1.2)])) == [], "one odd batch"


def test_what_rises_in_warm_up_needs_a_rate_below_the_one_reached_there() -> None:
    rising = [replace(step, rate=step.step / 10) for step in steps([4.0, 4.0, 4.0, *[9.0] * 30])]
    assert "optimizer.rate=0.03" in only(history(steps=rising)).remedy, "a tenth of that in step 3"


def test_divergence_is_also_what_is_no_number() -> None:
    lost = only(history([*learning(50), *[math.nan] * 3]))
    assert (lost.sign, lost.figures["first"]) == ("divergence", 51)
    assert signs(history([*learning(50), math.nan, math.inf])) == []


def test_a_rise_that_stays_is_a_rate_too_high() -> None:
    assert signs(history([*learning(50), *[1.9] * 30])) == ["rate too high"], "not half of what was learned"


def spike(at: int, count: int = 400) -> list[float]:
    return [loss + (2.0 if at <= i < at + 5 else 0.0) for i, loss in enumerate(learning(count))]


def test_a_spike_near_the_warm_up_and_spikes_later() -> None:
    short = only(history(spike(30)))
    assert (short.sign, short.remedy) == ("warm-up too short", "Lengthen the warm-up: schedule.warmup=100")
    assert signs(history(spike(300))) == [], "one spike later is nothing yet"
    twice = [max(each) for each in zip(spike(300), spike(350), strict=True)]
    assert signs(history(twice)) == ["rate too high"]


def test_a_loss_that_stalls_while_gradients_jump() -> None:
    losses = [*(4.0 - 0.1 * i for i in range(11)), *[3.05] * 60]
    wild = [5.0 if i % 5 == 0 else 0.5 for i in range(len(losses))]
    high = only(history(steps=steps(losses, wild)))
    assert (high.sign, high.figures["reached"]) == ("rate too high", 3.1)
    assert signs(history(losses)) == [], "a plateau with steady gradients"
    low = [loss - 2.4 for loss in losses]
    assert signs(history(steps=steps(low, wild))) == [], "what there is has been learned"


def test_a_rate_too_low_is_told_by_small_updates_and_a_straight_line() -> None:
    straight = [4.0 - 0.002 * i for i in range(100)]
    small = looks(3.9, 3.8, update_size=2e-5)
    low = only(history(straight, looks=small))
    assert low.sign == "rate too low"
    assert "optimizer.rate=0.1" in low.remedy, "a hundred times as much is nearest to the usual"
    assert signs(history([4.0] * 100, looks=small)) == ["rate too low"], "nothing moves at all"
    assert signs(history(straight, looks=looks(3.9, 3.8, update_size=2e-3))) == []
    assert signs(history(learning(), looks=small)) == [], "most of the fall came first"
    onward = replace(recipe(), start_from="a model")
    assert signs(history(straight, looks=small, recipe=onward)) == [], "who starts from a model means it so"


def test_always_clipped_means_far_above_the_clip() -> None:
    clipped = only(history(steps=steps(learning(), 5.0)))
    assert (clipped.sign, clipped.figures["share"]) == ("gradient always clipped", 1.0)
    assert "optimizer.clip=10" in clipped.remedy
    assert signs(history(steps=steps(learning(), 1.5))) == [], "a mild scaling"
    free = recipe(optimizer={"rate": 1e-3, "clip": 0.0})
    assert signs(history(steps=steps(learning(), 5.0), recipe=free)) == []


def test_over_fitting_names_the_best_step() -> None:
    fitted = only(history(looks=looks(2.0, 1.5, 1.6, 1.8)))
    assert (fitted.sign, fitted.figures["best_step"]) == ("over-fitting", 40)
    assert "step 40 with 1.500 and has risen to 1.800" in fitted.found
    assert signs(history(looks=looks(2.0, 1.5, 1.9, 1.6))) == [], "it comes back"
    assert signs(history(looks=looks(2.0, 1.5, 1.9))) == [], "once may be chance"
    assert signs(history(looks=looks(0.2, 0.01, 0.02, 0.03))) == [], "next to nothing"
    assert signs(history([4.0] * 100, looks=looks(2.0, 1.5, 1.6, 1.8))) == [], "nothing is learned by heart"


def test_over_fitting_says_what_helps_here() -> None:
    last = recipe(training={"final": "last"})
    assert "training.final=best" in only(history(looks=looks(2.0, 1.5, 1.6, 1.8), recipe=last)).remedy
    rising = [
        replace(look, metrics={**look.metrics, "accuracy": i / 10})
        for i, look in enumerate(looks(2.0, 1.5, 1.6, 1.8))
    ]
    assert "training.metric=accuracy" in only(history(looks=rising)).remedy


OUTPUTS: dict[str, tuple[Any, Any]] = {
    "collapse": (samples("x y"), samples("x y", "z")),
    "no end token": (
        samples(*"abcdefgh", finished=False),
        [*samples(*"abcdefgh", finished=False)[:3], *samples(*"abcdefgh")[3:]],
    ),
    "copying": (samples(*SOURCES), samples(*SOURCES[:5], "q", "r", "s")),
    "empty outputs": (samples("a", "b", ""), samples(*"abcde", "")),
}


@pytest.mark.parametrize("sign", OUTPUTS)
def test_outputs_tell_when_it_lasts(sign: str) -> None:
    faulty, healthy = OUTPUTS[sign]
    assert signs(saying(faulty)) == [sign]
    assert signs(saying(faulty, count=2)) == [], "most get over it"
    assert signs(saying(faulty, count=1, finished=True)) == [sign], "nothing will change any more"
    assert signs(saying(healthy)) == []
    assert signs(saying(faulty[:3])) == [], "three samples tell nothing"
    slow = recipe(schedule={"kind": "constant", "warmup": 1000})
    assert signs(saying(faulty, recipe=slow)) == [], "before warm-up is over"


def test_outputs_that_should_be_so_are_no_sign() -> None:
    assert signs(saying(samples("yes", references=["yes"] * 8))) == []
    assert signs(saying(samples(*SOURCES, references=SOURCES))) == []
    assert signs(saying(samples("", references=[""] * 8))) == []
    causal = recipe(preset="causal-small")
    assert signs(saying(samples(*"abcdefgh", finished=False), recipe=causal)) == [], "prompts have no end"


def test_a_finished_run_is_judged_by_the_weights_that_were_taken() -> None:
    several = looks(2.0, 1.0, 1.04)
    several = [replace(look, samples=samples("x")) for look in several]
    several[1] = replace(several[1], samples=samples(*"abcdefgh"))
    assert signs(history(looks=several, finished=True)) == []
    last = recipe(training={"final": "last"})
    assert signs(history(looks=several, finished=True, recipe=last)) == ["collapse"]


def test_dead_heads_are_many_and_stay_so() -> None:
    half = Heads(4, ["encoder.0.self.0"], ["decoder.0.memory.1"])
    dead = only(history(looks=looks(2.0, 1.5, 1.2, heads=half)))
    assert (dead.sign, dead.figures["dead"]) == ("dead heads", 2)
    assert "encoder.0.self.0, decoder.0.memory.1" in dead.found
    assert signs(history(looks=looks(2.0, 1.5, heads=half))) == []
    assert signs(history(looks=looks(2.0, 1.5, 1.2, heads=replace(half, fixed=[])))) == []
