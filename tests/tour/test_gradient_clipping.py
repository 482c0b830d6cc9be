"""Clipping bounds a step; what counts as diverged, and what is said of it, follows the losses."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from tour.clipped_runs import Fit, Found, Run, Size, Trial, new_model, new_state, step
from tour.gradient_clipping import QUICK, findings, run
from tour.report import PAGES, Settings

from headway.batch import Batch, Tokens
from headway.model.architectures import Transformer

pytestmark = pytest.mark.slow


def batch() -> Batch:
    ids = torch.arange(24).reshape(4, 6) % 20
    return Batch(Tokens(ids), (ids + 1) % 20)


def weights_of(model: Transformer) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize(
    ("losses", "diverged"),
    [
        ([2.0] * 5, False),
        ([2.0, 1.0, 1.0, 1.0, 2.1], True),
        ([2.0, 9.0, 9.0, 9.0, 1.9], False),
        ([2.0, 1.0, 1.0, 1.0, math.nan], True),
        ([2.0] + [1.0] * 7 + [math.inf, 1.0], True),
        ([2.0, math.nan] + [1.0] * 8, False),
    ],
)
def test_the_last_fifth_tells_whether_a_run_diverged(losses: list[float], diverged: bool) -> None:
    assert Run(losses).diverged == diverged


@pytest.mark.parametrize("clip", [0.0, 0.05, 1e6])
def test_no_step_of_gradient_descent_is_longer_than_rate_times_threshold(clip: float) -> None:
    model, rate = new_model(QUICK, 20, seed=1), 0.5
    state, found = new_state(model, "sgd", rate), Run()
    before = weights_of(model)
    step(state, batch(), rate, clip, found)
    far = float((weights_of(model) - before).norm())
    [norm] = found.norms
    assert far == pytest.approx(rate * (min(norm, clip) if clip else norm), rel=1e-3)


def test_to_adams_first_step_a_clipped_gradient_is_as_good_as_any() -> None:
    """It is the gradient's sign, but for parameters whose gradient is as small as Adam's epsilon."""
    ends = []
    for clip in (0.0, 0.01):
        model = new_model(QUICK, 20, seed=1)
        step(new_state(model, "adam", 1e-2), batch(), 1e-2, clip, Run())
        ends.append(weights_of(model))
    assert float(((ends[0] - ends[1]).abs() < 1e-4).float().mean()) > 0.9
    assert not torch.allclose(ends[0], weights_of(new_model(QUICK, 20, seed=1)), atol=5e-3)


def found_of(diverged_without: list[float], gaps: dict[float, list[float]]) -> Found:
    fine, wild = Run([2.0] * 5, [1.0] * 5), Run([2.0, 2.0, 2.0, 2.0, math.nan], [1.0] * 4 + [math.inf])
    trials = [
        Trial("sgd", rate, clip, seed, wild if clip == 0 and rate in diverged_without else fine)
        for rate in (0.1, 1.0)
        for clip in (0.0, 1.0)
        for seed in (1, 2)
    ]
    fits = {
        clip: [Fit([2.0], [1.0], [1], [1.0], [1.0 + gap]) for gap in several]
        for clip, several in gaps.items()
    }
    return Found(trials, fits)


def test_sentences_follow_the_figures() -> None:
    size = Size(rates={"sgd": (0.1, 1.0)})
    said = findings(size, found_of([1.0], {0.0: [0.5, 0.6], 1.0: [0.55, 0.65]}))
    assert "2 of 4 runs diverged without clipping, 0 with it" in said
    assert "of which only the one without it diverged: 2, at rates 1." in said
    assert "The gap at the end: not told apart by these seeds (+0.050 nats between the medians)" in said
    said = findings(size, found_of([], {0.0: [0.5, 0.6], 1.0: [0.1, 0.2]}))
    assert "At no rate did a run diverge without clipping whose twin with clipping did not" in said
    assert "The gap at the end: lower for every seed (-0.400 nats between the medians)" in said


def test_a_smoke_run_fills_its_page(tmp_path: Path) -> None:
    run(Settings(quick=True, seeds=1, out=tmp_path))
    page = (tmp_path / "gradient-clipping.md").read_text("utf-8")
    for name in ("rates", "norms", "over-fitting"):
        assert f"<!-- table: {name} -->\n\n|" in page
        assert (tmp_path / "figures" / f"gradient-clipping-{name}.svg").exists()
        assert f"figures/gradient-clipping-{name}.svg" in (PAGES / "gradient-clipping.md").read_text("utf-8")
    trials = json.loads((tmp_path / "results" / "gradient-clipping.json").read_text("utf-8"))["figures"][
        "rates"
    ]
    assert {(each["optimizer"], each["clip"]) for each in trials} == {
        (kind, clip) for kind in QUICK.rates for clip in (0.0, 1.0)
    }
    wild = [each for each in trials if each["rate"] == 1e6 and not each["clip"]]
    assert all(each["diverged"] for each in wild), "a rate that nothing survives"
