"""Before its first step a run is looked at, and is left as it was."""

import json
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headway.errors import UserError
from headway.launch import check, train
from headway.model import architectures
from headway.model.mask import AttentionMask
from headway.preflight.finding import Finding, Preflight
from headway.preflight.preflight import preflight
from headway.preflight.trial import Trial
from headway.training.checkpoint import Checkpoints
from headway.training.state import TrainState
from tests.tiny import PAIRS, train_tiny, write_pairs

ON = "training.checks=true"
NUMBER = {"pairs": 6, "causal": 5, "masked": 5}


@pytest.mark.parametrize("kind", NUMBER)
def test_a_tiny_run_passes_in_one_line(kind: str, trials: dict[str, Trial]) -> None:
    found = preflight(trials[kind].start)
    [line] = found.told()
    assert re.match(rf"{NUMBER[kind]} checks passed in \d+\.\d s: ", line)
    assert (found.faults, found.lines()[-1][-11:]) == ((), "all is well")


def test_random_numbers_and_model_stay_as_they_are(trials: dict[str, Trial]) -> None:
    start = trials["pairs"].start
    assert start.model is not None
    state, training = torch.get_rng_state(), start.model.training
    preflight(start)
    assert torch.equal(torch.get_rng_state(), state)
    assert start.model.training == training


def test_a_run_is_the_same_to_the_last_bit_with_and_without_checks(tmp_path: Path) -> None:
    """With dropout, an order of examples and an average of the weights."""
    more = ("model.dropout=0.2", "training.ema=0.9", "runtime.recompute=true")
    plain = train_tiny("pairs", tmp_path / "plain", 6, *more).folder
    checked = train_tiny("pairs", tmp_path / "checked", 6, *more, ON).folder
    assert not plain.preflight.exists()
    assert len(json.loads(checked.preflight.read_text("utf-8"))["findings"]) == 6
    for path in plain.model.glob("*.safetensors"):
        assert (checked.model / path.name).read_bytes() == path.read_bytes()


def test_a_warning_is_said_once_and_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked to stop and resumed, it is not checked again."""
    save = Checkpoints.save

    def and_stop(self: Checkpoints, state: TrainState) -> None:
        save(self, state)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", and_stop)
        overrides = [*PAIRS, "stop.steps=2", "training.save_every=1", "optimizer.rate=1e-9", ON]
        told: list[str] = []
        run = train(write_pairs(tmp_path), overrides=overrides, out=tmp_path / "run", say=told.append).folder
    [warning] = [line for line in told if line.startswith("warning: learning: ")]
    assert "try to raise optimizer.rate (1e-09)" in warning
    assert any(line.startswith("5 of 6 checks passed in ") for line in told)
    run.preflight.unlink()
    told.clear()
    assert train(run.path, say=told.append).metrics
    assert not run.preflight.exists()
    assert not any("checks passed" in line for line in told)


def open_to_all(**facts: Any) -> AttentionMask:
    return AttentionMask(**{**facts, "causal": False})


def test_a_fault_ends_a_run_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architectures, "AttentionMask", open_to_all)
    with pytest.raises(UserError, match=r"future: what is computed .* all the same: training\.checks=false"):
        train_tiny("pairs", tmp_path, 2, ON)
    assert not (tmp_path / "pairs").exists()


def test_without_a_whole_model_its_text_is_checked(trials: dict[str, Trial]) -> None:
    found = preflight(replace(trials["causal"].start, model=None))
    assert [each.check for each in found.findings] == ["tokens", "held-out text"]
    assert found.told()[0].endswith(
        "; no process holds the whole model (runtime.parallel = 'fsdp'), so it was not checked"
    )


def test_no_labels_are_told_once(trials: dict[str, Trial]) -> None:
    start = trials["causal"].start
    found = preflight(replace(start, batches=[batch.without_labels() for batch in start.batches]))
    assert [each.check for each in found.faults] == ["learning"]


def test_what_was_found_is_told_in_words() -> None:
    fine = Finding(check="future", level="ok", message="no later token is seen")
    odd = Finding(check="tokens", level="warning", message="1% is lost", remedy="choose 'bpe'")
    bad = Finding(check="learning", level="fault", message="nothing is learned", remedy="give it labels")
    found = Preflight(findings=(fine, odd, bad), seconds=0.26)
    assert found.told() == [
        "warning: tokens: 1% is lost; choose 'bpe'",
        "1 of 3 checks passed in 0.3 s: no later token is seen",
    ]
    assert found.lines() == [
        "ok      future: no later token is seen",
        "warning tokens: 1% is lost; choose 'bpe'",
        "fault   learning: nothing is learned; give it labels",
        "3 checks in 0.3 s: 1 fault and 1 warning",
    ]
    with pytest.raises(UserError, match=r"^learning: nothing is learned; give it labels\. Nothing was"):
        found.refuse_faults()
    replace(found, findings=(fine, odd)).refuse_faults()
    assert json.loads(found.to_json())["findings"][1]["remedy"] == "choose 'bpe'"


@pytest.mark.parametrize("given", ["recipe", "run"])
def test_a_recipe_and_a_run_can_be_checked_by_themselves(
    given: str, tmp_path: Path, tiny_runs: dict[str, Path]
) -> None:
    thing = tiny_runs["pairs"] if given == "run" else tiny_runs["pairs"] / "recipe.toml"
    before = sorted(tiny_runs["pairs"].rglob("*"))
    found = check(thing, overrides=["optimizer.rate=1e-9"], say=lambda _: None)
    assert [each.level for each in found.findings] == [*["ok"] * 5, "warning"]
    assert sorted(tiny_runs["pairs"].rglob("*")) == before


def test_data_of_another_kind_are_refused(tiny_runs: dict[str, Path]) -> None:
    recipe = tiny_runs["pairs"] / "recipe.toml"
    for things, named in (((), {}), ((3,), {}), ((recipe, recipe), {}), ((recipe,), {"minutes": 3.0})):
        with pytest.raises(UserError):
            check(*things, **named)
