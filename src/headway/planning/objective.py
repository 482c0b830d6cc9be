"""What can be learned from data: pairs, or plain text."""

from collections.abc import Sequence
from dataclasses import asdict

from headway.config import apply_overrides, from_table
from headway.data.corpus import DataConfig
from headway.data.layout import OF_PAIRS, holds_pairs
from headway.model.config import Architecture
from headway.recipe import Recipe

OBJECTIVES: dict[Architecture, str] = {"encoder-decoder": "pairs", "encoder": "masked", "decoder": "causal"}

CHOSEN = {
    "pairs": "learning pairs; for plain text: --objective causal or masked",
    "causal": "learning a causal model of plain text; for pairs: --objective pairs; for blanks: masked",
}


def objective_for(data: DataConfig) -> tuple[str, str]:
    """What can be learned from the data, and the reason."""
    if data.layout not in ("auto", "jsonl"):
        return ("pairs" if data.layout in OF_PAIRS else "causal"), f"data.layout is {data.layout}"
    if data.columns is not None:
        return "pairs", "data.columns names two columns"
    fields = f"fields {data.source_field!r} and {data.target_field!r}"
    if holds_pairs(data.train, data.source_field, data.target_field):
        return "pairs", f"there are TABs, or {fields}"
    return "causal", f"there are neither TABs nor {fields}"


def read_data_config(
    data: Sequence[str], overrides: Sequence[str], before: DataConfig | None = None
) -> DataConfig:
    """How the files are read: as `before`, with those of the overrides that are `data.KEY=VALUE`."""
    table = {**({} if before is None else asdict(before)), "train": list(data), "valid": []}
    ours = [override for override in overrides if override.partition(".")[0].strip() == "data"]
    return from_table(DataConfig, apply_overrides(Recipe, {"data": table}, ours)["data"])
