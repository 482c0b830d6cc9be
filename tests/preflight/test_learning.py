"""One batch is learned where learning is possible; where it is not, the reason is near."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from headway.preflight import learning
from headway.preflight.learning import check_learning, smoothing_floor
from headway.preflight.trial import Trial
from headway.training.freeze import freeze
from headway.training.settings import OptimizerConfig
from headway.training.step import StepReport


def at_rate(trial: Trial, rate: float, **settings: float) -> Trial:
    optimizer = replace(trial.recipe.optimizer, rate=rate, **settings)
    return replace(
        trial, start=replace(trial.start, recipe=replace(trial.recipe, optimizer=optimizer), rate=rate)
    )


@pytest.mark.parametrize("kind", ["pairs", "causal", "masked"])
def test_a_fresh_model_learns_a_batch_and_stays_fresh(kind: str, trials: dict[str, Trial]) -> None:
    trial = trials[kind]
    before = {name: tensor.clone() for name, tensor in trial.model.state_dict().items()}
    found = check_learning(trial)
    assert (found.level, "the loss of one batch went from" in found.message) == ("ok", True)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trial.model.state_dict().items())
    assert all(parameter.grad is None for parameter in trial.model.parameters())


def test_each_optimizer_learns(trials: dict[str, Trial]) -> None:
    for kind in ("adam", "adamw", "muon"):
        recipe = replace(trials["causal"].recipe, optimizer=OptimizerConfig(kind=kind, rate=0.01))
        start = replace(trials["causal"].start, recipe=recipe)
        assert check_learning(replace(trials["causal"], start=start)).level == "ok", kind


def test_a_rate_that_moves_nothing_is_found(trials: dict[str, Trial]) -> None:
    found = check_learning(at_rate(trials["pairs"], 1e-9))
    assert found.level == "warning"
    assert "in 30 steps" in found.message
    assert "raise optimizer.rate (1e-09)" in found.remedy


def test_a_rate_that_destroys_is_found(trials: dict[str, Trial]) -> None:
    found = check_learning(at_rate(trials["pairs"], 100.0))
    assert (found.level, "did not fall" in found.message) == ("warning", True)
    assert "lower optimizer.rate (100)" in found.remedy


def test_frozen_weights_are_named(trials: dict[str, Trial]) -> None:
    trial = replace(trials["pairs"], model=deepcopy(trials["pairs"].model))
    freeze(trial.model, ["encoder", "embedding", "source_embedding", "decoder.layers.0.feed_forward"])
    found = check_learning(at_rate(trial, 1e-6))
    assert "freeze less than" in found.remedy


def test_a_batch_without_labels_is_a_fault(trials: dict[str, Trial]) -> None:
    trial = replace(trials["pairs"], batch=trials["pairs"].batch.without_labels(), labels=0)
    found = check_learning(trial)
    assert (found.level, found.message) == ("fault", "nothing of the first batch is to be predicted")


def test_a_gradient_that_is_no_number_is_found(
    trials: dict[str, Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    really = learning.train_step
    for good_steps, level in ((0, "fault"), (1, "warning")):
        reports = iter([*[""] * good_steps, "the gradient is not finite"])

        def fails(*some: Any, reports: Iterator[str] = reports, **named: Any) -> StepReport:
            return replace(really(*some, **named), left_out=next(reports))

        monkeypatch.setattr(learning, "train_step", fails)
        found = check_learning(trials["causal"])
        assert (found.level, "not finite" in found.message) == (level, True)


def test_it_ends_in_time(trials: dict[str, Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "SECONDS", 0.0)
    found = check_learning(at_rate(trials["causal"], 1e-4))
    assert (found.level, found.message.endswith("in 1 step")) == ("ok", True)


@pytest.mark.parametrize(("smoothing", "size"), [(0.0, 7), (0.1, 7), (0.3, 1000)])
def test_nothing_gets_below_the_floor_of_smoothing(smoothing: float, size: int) -> None:
    target = torch.full((1, size), smoothing / size, dtype=torch.float64)
    target[0, 2] += 1 - smoothing
    best = F.cross_entropy(target.clamp(min=1e-30).log(), torch.tensor([2]), label_smoothing=smoothing)
    assert smoothing_floor(smoothing, size) == pytest.approx(float(best), abs=1e-9)
