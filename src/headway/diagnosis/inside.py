"""What a validation measures inside a model for its diagnosis, besides what the model says."""

from dataclasses import asdict
from typing import Any

from headway.data.loader import EncodedText
from headway.data.objectives import Objective
from headway.diagnosis.heads import look_at_heads
from headway.diagnosis.update_size import update_size
from headway.training.state import TrainState


def look_inside(
    state: TrainState, objective: Objective, held_out: EncodedText, peak_rate: float
) -> dict[str, Any]:
    """Plain figures for metrics.jsonl: functions of the state and the text alone, so a resumed run has the
    same."""
    heads = look_at_heads(state.model, objective, held_out)
    size = update_size(state.optimizer, peak_rate)
    found = {"heads": None if heads is None else asdict(heads), "update_size": size}
    return {name: value for name, value in found.items() if value is not None}
