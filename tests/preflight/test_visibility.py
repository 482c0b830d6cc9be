"""What must not be read is not, and where it is, that is found."""

from typing import Any

import pytest

from headway.batch import Batch, Tokens
from headway.model import architectures
from headway.model.mask import AttentionMask
from headway.preflight.trial import Trial
from headway.preflight.visibility import check_future, check_padding


@pytest.mark.parametrize("kind", ["pairs", "causal"])
def test_a_decoder_that_sees_the_future_is_found(
    kind: str, trials: dict[str, Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_future(trials[kind]).level == "ok"

    def open_to_all(**facts: Any) -> AttentionMask:
        return AttentionMask(**{**facts, "causal": False})

    monkeypatch.setattr(architectures, "AttentionMask", open_to_all)
    found = check_future(trials[kind])
    assert found.level == "fault"
    assert "up to token 1 changes" in found.message


@pytest.mark.parametrize("kind", ["pairs", "masked"])
def test_an_encoder_that_reads_padding_is_found(
    kind: str, trials: dict[str, Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_padding(trials[kind]).level == "ok"
    monkeypatch.setattr(architectures, "AttentionMask", lambda **_: AttentionMask())
    assert check_padding(trials[kind]).level == "fault"


def test_a_batch_that_does_not_say_what_is_padding_is_found(trials: dict[str, Trial]) -> None:
    trial = trials["masked"]
    ids = trial.batch.inputs.ids.clone()
    ids[:, -3:] = trial.pad
    unsaid = Trial(trial.start, trial.model, Batch(Tokens(ids), trial.batch.labels), trial.labels)
    assert check_padding(unsaid).level == "fault"


def test_rows_without_padding_are_given_some(
    trials: dict[str, Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = trials["masked"]
    ids = trial.batch.inputs.ids.clamp(min=5)
    full = Trial(trial.start, trial.model, Batch(Tokens(ids), trial.batch.labels), trial.labels)
    assert check_padding(full).level == "ok"
    monkeypatch.setattr(architectures, "AttentionMask", lambda **_: AttentionMask())
    assert check_padding(full).level == "fault"
