"""All checks before the first step of a run."""

import time

import torch

from headway.preflight.finding import Finding, Preflight
from headway.preflight.first_loss import check_first_loss
from headway.preflight.learning import check_learning
from headway.preflight.overlap import check_overlap
from headway.preflight.text import check_text
from headway.preflight.trial import Start, trial_of
from headway.preflight.visibility import check_future, check_padding


def preflight(start: Start) -> Preflight:
    """What the checks find; the model, random numbers and the place in the data stay as they are."""
    began = time.perf_counter()
    findings = [check_text(start.recipe.data, start.prepared), check_overlap(start.prepared)]
    left_out = ""
    if start.model is None:
        left_out = "no process holds the whole model (runtime.parallel = 'fsdp'), so it was not checked"
    else:
        device = next(start.model.parameters()).device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            findings += _of_model(start)
    return Preflight(
        findings=tuple(findings), seconds=round(time.perf_counter() - began, 3), left_out=left_out
    )


def _of_model(start: Start) -> list[Finding]:
    assert start.model is not None
    trial = trial_of(start, start.model)
    sees = {
        "encoder-decoder": [check_future, check_padding],
        "encoder": [check_padding],
        "decoder": [check_future],
    }[start.recipe.model.architecture]
    checks = [check_first_loss, *sees, check_learning] if trial.labels else [check_learning]
    return [check(trial) for check in checks]
