"""The loop stops where told, looks and saves when due, and counts what it did."""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from headway.batch import Batch
from headway.training.guard import DivergedError
from headway.training.loop import Validation, is_better
from headway.training.schedule import rate_factor
from headway.training.state import TrainState

from .toys import RATE, Losses, ToyBatches, assert_same, everything, random_batch, run_of


@pytest.mark.parametrize(
    ("stop", "steps", "reason"),
    [
        ({"steps": 7}, 7, "7 steps done"),
        ({"epochs": 2}, 10, "2 epochs done"),
        ({"epochs": 1.4}, 7, "1.4 epochs done"),
        ({"steps": 50, "epochs": 1}, 5, "1 epochs done"),
    ],
)
def test_it_stops_at_its_limit(stop: dict[str, Any], steps: int, reason: str) -> None:
    run = run_of(stop=stop)
    run.go()
    counters = run.state.counters
    assert (counters.step, counters.finished) == (steps, reason)
    assert run.saved == [steps], "the end is saved"
    assert [step for step, _, _ in run.reporter.validations] == [steps], "the end is looked at"
    assert run.reporter.moments[-1].progress == 1.0


def test_it_stops_by_tokens() -> None:
    run = run_of(stop={"tokens": 60})
    run.go()
    counters, labels = run.state.counters, [moment.report.labels for moment in run.reporter.moments]
    assert counters.tokens == sum(labels)
    assert sum(labels[:-1]) < 60 <= sum(labels)
    assert counters.finished == "60 tokens seen"
    assert [moment.tokens for moment in run.reporter.moments] == [
        sum(labels[: i + 1]) for i in range(len(labels))
    ]


def test_r_drop_reads_every_row_twice() -> None:
    rows = []
    for r_drop in (0.0, 1.0):
        run, seen = run_of(stop={"steps": 2}, training={"r_drop": r_drop}), list[int]()
        run.state.model.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(len(given[0].ids)))
        run.go()
        rows.append(seen[:2])
        assert run.state.counters.tokens == sum(moment.report.labels for moment in run.reporter.moments)
    assert rows[1] == [2 * count for count in rows[0]]


def test_it_stops_by_minutes() -> None:
    run = run_of(stop={"minutes": 0.3 / 60})
    run.go()
    assert run.state.counters.finished == "0.005 minutes of training done"
    assert run.state.counters.fit.steps == run.state.counters.step


def test_it_stops_when_nothing_gets_better() -> None:
    run = run_of(stop={"patience": 2}, training={"validate_every": 3})
    run.validate = Losses(3.0, 2.0, 2.5, 2.0)
    run.go()
    counters = run.state.counters
    assert counters.step == 12
    assert (counters.best, counters.best_step, counters.without_better) == (2.0, 6, 2)
    assert counters.finished == "no better result in 2 validations"
    assert [better for _, _, better in run.reporter.validations] == [True, True, False, False]
    assert run.saved == [3, 6, 12]


def test_it_looks_and_saves_when_due() -> None:
    run = run_of(stop={"steps": 11}, training={"validate_every": 4, "save_every": 3})
    run.validate = Losses(1.0, 2.0)
    run.go()
    assert [step for step, _, _ in run.reporter.validations] == [4, 8, 11]
    assert run.saved == [3, 4, 6, 9, 11], "the better one of step 4 too, and none twice"


def test_epochs_follow_one_another() -> None:
    run = run_of(stop={"steps": 12})
    run.go()
    assert run.batches.asked == [(0, 0), (1, 0), (2, 0)]
    assert run.batches.shares == pytest.approx([step / 12 for step in range(12)]), "before each batch"
    assert [moment.epoch for moment in run.reporter.moments] == pytest.approx([n / 5 for n in range(1, 13)])


@pytest.mark.parametrize(
    ("metric", "values", "better"),
    [
        ("loss", [2.0, 3.0, 1.0, 1.0], [True, False, True, False]),
        ("accuracy", [0.2, 0.1, 0.3, 0.3], [True, False, True, False]),
        ("loss", [math.nan, 2.0, math.nan, math.inf], [False, True, False, False]),
    ],
)
def test_the_best_is_told_by_its_metric(metric: str, values: list[float], better: list[bool]) -> None:
    best: float | None = None
    for value, expected in zip(values, better, strict=True):
        assert is_better(metric, value, best) is expected
        best = value if expected else best


def test_the_recipes_metric_decides() -> None:
    found = [{"loss": 1.0, "accuracy": 0.1}, {"loss": 2.0, "accuracy": 0.2}, {"loss": 0.5, "accuracy": 0.05}]
    run = run_of(stop={"steps": 6}, training={"validate_every": 2, "metric": "accuracy"})
    run.validate = lambda state: Validation(found[state.counters.step // 2 - 1])
    run.go()
    assert (run.state.counters.best, run.state.counters.best_step) == (0.2, 4)


def test_the_rate_follows_the_schedule() -> None:
    run = run_of(stop={"steps": 9}, schedule={"kind": "linear", "warmup": 3, "final": 0.1})
    run.go()
    schedule = run.plan.schedule
    expected = [RATE * rate_factor(schedule, step, (step - 1) / 9) for step in range(1, 10)]
    assert [moment.rate for moment in run.reporter.moments] == pytest.approx(expected)
    assert run.reporter.moments[-1].rate > 0.1 * RATE, "the last step moves too"


def test_judging_sees_the_average_and_training_does_not() -> None:
    run, plain = run_of(stop={"steps": 4}, training={"ema": 0.5}), run_of(stop={"steps": 4})
    judged: dict[str, torch.Tensor] = {}

    def validate(state: TrainState) -> Validation:
        judged.update({name: p.detach().clone() for name, p in state.model.named_parameters()})
        return Validation({"loss": 1.0})

    run.validate = validate
    run.go()
    plain.go()
    assert run.state.average is not None
    assert_same(judged, run.state.average)
    weights = {name: p.detach() for name, p in run.state.model.named_parameters()}
    assert_same(weights, {name: p.detach() for name, p in plain.state.model.named_parameters()})
    assert not torch.equal(judged["embedding.tokens.weight"], weights["embedding.tokens.weight"])


def test_a_bad_gradient_is_told_and_counted() -> None:
    run = run_of(stop={"steps": 5})
    calls = 0

    def spoil(gradient: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        # each step sees two micro-batches: this is the third step's first
        return gradient * math.nan if calls == 5 else gradient

    run.state.model.get_parameter("decoder.norm.weight").register_hook(spoil)
    run.go()
    assert run.state.counters.skipped == 1
    assert run.state.counters.step == 5
    [warning] = run.reporter.warnings
    assert re.match(r"step 3: the gradient is not finite \(.*\); it is left out. epoch 0, batch 2$", warning)
    assert [moment.report.updated for moment in run.reporter.moments] == [True, True, False, True, True]
    assert all(tensor.isfinite().all() for tensor in everything(run.state).values())


def test_too_many_bad_steps_in_a_row_end_the_run_with_the_last_good_weights_saved() -> None:
    run = run_of(stop={"steps": 50}, training={"most_skipped": 3})
    good: dict[str, torch.Tensor] = {}
    weight = run.state.model.get_parameter("decoder.norm.weight")

    def spoil(gradient: torch.Tensor) -> torch.Tensor:
        if run.state.counters.step in (3, 4) or run.state.counters.step > 5:
            return gradient * math.nan
        good.clear()
        return gradient

    weight.register_hook(spoil)
    run.reporter.after = lambda step: good.update(weight=weight.detach().clone()) if step == 5 else None
    with pytest.raises(
        DivergedError, match=r"^3 steps in a row .* step 8, .* not finite .* lower optimizer.rate"
    ):
        run.go()
    assert run.state.counters.skipped == 5
    assert run.saved == [8]
    assert torch.equal(weight.detach(), good["weight"])
    assert len(run.reporter.warnings) == 5


def test_a_spike_of_the_loss_is_left_out_where_that_is_asked_for() -> None:
    """A batch with labels that nothing explains, after many that repeat one."""

    class Spiky(ToyBatches):
        def epoch(
            self, number: int, start: int = 0, progress: Callable[[int], float] | None = None
        ) -> Iterator[list[Batch]]:
            same = random_batch(0)
            other = Batch(same.inputs, (same.labels + 3).remainder(8))
            for batch in range(start, self.count):
                yield [other if batch == 30 else same]

    for sigma, left_out in ((0.0, 0), (4.0, 1)):
        run = run_of(stop={"steps": 40}, training={"spike_sigma": sigma}, optimizer={"rate": 0.01})
        run.batches = Spiky(count=50)
        run.go()
        assert run.state.counters.skipped == left_out
    assert "step 31: the loss of" in run.reporter.warnings[0]


def test_clipped_steps_are_counted() -> None:
    run = run_of(stop={"steps": 5}, optimizer={"clip": 1e-3})
    run.go()
    assert run.state.counters.clipped == 5
    free = run_of(stop={"steps": 5}, optimizer={"clip": 0.0})
    free.go()
    assert free.state.counters.clipped == 0


@pytest.mark.parametrize("when", [2, 5, 6])
def test_asked_to_stop_it_saves_and_ends(when: int) -> None:
    run = run_of(stop={"steps": 10})

    def after(step: int) -> None:
        if step == when:
            run.asked.signal = 2

    run.reporter.after = after
    run.go()
    assert run.state.counters.step == when
    assert run.saved == [when]
    assert run.state.counters.finished == "", "it is not finished and can go on"


@pytest.mark.parametrize("when", [2, 5])
def test_asked_while_looking_it_saves_too(when: int) -> None:
    """Looking takes long, so that is when people stop a run; step 5 is the last one of an epoch."""
    run = run_of(stop={"steps": 10}, training={"validate_every": when})

    def validate(state: TrainState) -> Validation:
        run.asked.signal = 2
        return Validation({"loss": math.nan})

    run.validate = validate
    run.go()
    assert run.state.counters.step == when
    assert run.saved == [when]


def test_a_finished_run_does_nothing_more() -> None:
    run = run_of(stop={"steps": 3})
    run.go()
    before = everything(run.state)
    run.go()
    assert run.saved == [3]
    assert_same(everything(run.state), before)


def test_only_training_time_is_counted() -> None:
    run = run_of(stop={"steps": 4}, training={"validate_every": 1})
    clock = iter(range(0, 1000, 10))

    def validate(state: TrainState) -> Validation:
        for _ in range(7):
            next(clock)  # looking takes 70 seconds
        return Validation({"loss": 1.0})

    run.validate = validate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headway.training.loop.time.perf_counter", lambda: float(next(clock)))
        run.go()
    assert run.state.counters.seconds == 40.0


def test_a_failed_look_at_held_out_data_loses_nothing() -> None:
    def broken(state: TrainState) -> Validation:
        raise ValueError("no such sample")

    run = run_of(stop={"steps": 9}, training={"validate_every": 4, "save_every": 100})
    run.validate = broken
    with pytest.raises(ValueError, match="no such sample"):
        run.go()
    assert run.saved == [4]
