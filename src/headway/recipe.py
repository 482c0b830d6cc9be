"""A recipe: everything that makes a run, as one TOML file of tables; `key=value` changes what it says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from headway.config import Table, apply_overrides, dump_toml, from_table, read_toml
from headway.data.corpus import DataConfig
from headway.data.loader import BatchConfig
from headway.decoding.settings import SearchConfig
from headway.errors import RecipeError, did_you_mean
from headway.model.config import TransformerConfig
from headway.model.presets import merged, preset
from headway.runtime import RuntimeConfig
from headway.text.tokenizer import TextConfig, TokenizerConfig
from headway.training.schedule import check_schedule
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig, TrainingConfig


@dataclass(frozen=True, kw_only=True)
class MaskingConfig:
    """Which share of tokens a masked language model must restore; from `rate` to `rate_end` over the run."""

    rate: float = 0.15
    rate_end: float | None = None
    whole_words: bool = False


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The tables of a recipe. What it leaves out has the paper's value, or that of its model preset."""

    data: DataConfig
    stop: StopConfig
    preset: str = "paper-base"
    """The model that the `model` table changes."""
    seed: int = 1
    text: TextConfig = field(default_factory=TextConfig)
    model: TransformerConfig
    """Its vocabulary sizes are upper bounds until the tokenizers are trained."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def __post_init__(self) -> None:
        check_schedule(self.schedule, self.stop)

    @property
    def reads_pairs(self) -> bool:
        return self.model.architecture == "encoder-decoder"


BUILT_IN = files("headway") / "recipes"


def built_in_recipes() -> list[str]:
    """Names of the recipes that come with Headway."""
    return sorted(
        path.name.removesuffix(".toml") for path in BUILT_IN.iterdir() if path.name.endswith(".toml")
    )


def read_recipe(name: str | Path, overrides: Sequence[str] = (), changes: Table | None = None) -> Recipe:
    """The recipe in a file, or a built-in one by name, with a table of changes and `key=value` put in.

    Raises RecipeError, naming file and key, for what cannot be followed.
    """
    path = Path(name)
    if path.suffix != ".toml" and not path.exists():
        if str(name) not in built_in_recipes():
            hint = did_you_mean(str(name), built_in_recipes())
            raise RecipeError(f"there is neither a file nor a built-in recipe {str(name)!r}: {hint}")
        path = Path(str(BUILT_IN / f"{name}.toml"))
    table = merged(read_toml(path), changes or {})
    return resolve(apply_overrides(Recipe, table, overrides), str(path))


def resolve(table: Table, place: str = "") -> Recipe:
    """The recipe that a table describes, with its preset's fields filled in below its own."""
    base = preset(table.get("preset", Recipe.preset))
    sizes: dict[str, Any] = {"vocab_size": _vocab_size(table, "target")}
    if "source" in table.get("text", {}):
        sizes["source_vocab_size"] = _vocab_size(table, "source")
    model = merged(merged(sizes, base), table.get("model", {}))
    return from_table(Recipe, {**table, "model": model}, place)


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write the whole recipe, every value spelled out."""
    path.write_text(dump_toml(recipe), "utf-8")


def _vocab_size(table: Table, side: str) -> Any:
    text = table.get("text", {})
    chosen = text.get(side, {}) if isinstance(text, dict) else {}
    return chosen.get("vocab_size", TokenizerConfig.vocab_size) if isinstance(chosen, dict) else 1
