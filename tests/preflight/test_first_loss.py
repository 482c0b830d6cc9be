"""A fresh model of any preset begins near ln V, and what does not is found."""

import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from headway.batch import NO_LABEL, Batch, Tokens
from headway.model.architectures import build
from headway.model.config import TransformerConfig
from headway.model.presets import PRESETS, preset_config
from headway.preflight.finding import Finding
from headway.preflight.first_loss import check_first_loss
from headway.preflight.trial import Trial


def small(name: str, vocab_size: int) -> TransformerConfig:
    """A preset's kinds of parts, in a smaller size."""
    whole = preset_config(name, vocab_size)
    sizes = {"num_heads": 2, "num_kv_heads": None, "d_key": None, "d_value": None}
    return replace(
        whole,
        d_model=64,
        d_ff=64,
        encoder_layers=min(2, whole.encoder_layers),
        decoder_layers=min(2, whole.decoder_layers),
        attention=replace(whole.attention, **sizes),
    )


def trial_with(trial: Trial, config: TransformerConfig) -> Trial:
    """Random text for a fresh model of a shape, the own next token as label, or some masked ones."""
    torch.manual_seed(3)
    ids = torch.randint(5, config.vocab_size, (4, 21))
    inputs, labels = ids[:, :-1], ids[:, 1:]
    if config.architecture == "encoder":
        masked = torch.arange(20) % 6 == 0
        labels = inputs.masked_fill(~masked, NO_LABEL)
        inputs = inputs.masked_fill(masked, 4)
    source = Tokens(ids) if config.architecture == "encoder-decoder" else None
    start = replace(trial.start, recipe=replace(trial.recipe, model=config))
    return Trial(start, build(config), Batch(Tokens(inputs), labels, source), 80)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_begins_near_a_uniform_guess(name: str, trials: dict[str, Trial]) -> None:
    """Among few tokens too, where the one that is read weighs most."""
    trial = trial_with(trials["causal"], small(name, 40))
    assert check_first_loss(trial).level == "ok"


def of_changed(trial: Trial, factor: float) -> Finding:
    model = deepcopy(trial.model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= factor
    return check_first_loss(replace(trial, model=model))


@pytest.mark.parametrize("kind", ["pairs", "causal", "masked"])
def test_weights_that_are_too_large_are_found(kind: str, trials: dict[str, Trial]) -> None:
    found = check_first_loss(trials[kind])
    assert found.level == "ok"
    assert f"ln V = {math.log(trials[kind].recipe.model.vocab_size):.2f}" in found.message
    found = of_changed(trials[kind], 10)
    assert (found.level, "far above" in found.message) == ("warning", True)
    assert "initialised" in found.remedy


def test_what_is_no_number_is_a_fault(trials: dict[str, Trial]) -> None:
    assert of_changed(trials["causal"], math.nan).level == "fault"


def test_weights_that_know_something_may_begin_low(trials: dict[str, Trial]) -> None:
    """Labels that stand in the inputs are told by tied embeddings before anything is learned."""
    trial = trial_with(trials["causal"], replace(small("modern", 40), encoder_layers=0, decoder_layers=1))
    seen = replace(trial, batch=Batch(trial.batch.inputs, trial.batch.inputs.ids))
    found = check_first_loss(seen)
    assert (found.level, "far below" in found.message) == ("warning", True)
    started = replace(seen.start, recipe=replace(seen.recipe, start_from="runs/other"))
    assert check_first_loss(replace(seen, start=started)).level == "ok"
    foreign = replace(trial, start=started)
    assert "model to start from" in of_changed(foreign, 10).remedy
