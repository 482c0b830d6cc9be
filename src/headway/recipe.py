"""A recipe: everything that makes a run, as one TOML file of tables; `key=value` changes what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import tomli_w

from headway.config import Table, apply_overrides, from_table, read_toml, table_of
from headway.data.corpus import DataConfig
from headway.data.loader import BatchConfig
from headway.decoding.settings import SearchConfig
from headway.errors import RecipeError, did_you_mean, refuse_out_of_range
from headway.model.config import TransformerConfig
from headway.model.presets import merged, preset
from headway.runtime import RuntimeConfig
from headway.start_from import started
from headway.text.tokenizer import TextConfig, TokenizerConfig
from headway.training.schedule import check_schedule
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig, TrainingConfig

LARGEST_SEED = 2**63 - 1

DECIDED_LATER = {"vocab_size": "target", "source_vocab_size": "source"}
"""Sizes of the model that its tokenizers decide, and the table of `text` that bounds each."""


@dataclass(frozen=True, kw_only=True)
class MaskingConfig:
    """Which share of tokens a masked language model must restore.

    Of the chosen tokens 80 % become `<mask>`, 10 % a random token, 10 % stay (Devlin et al. 2019, §3.1).
    """

    rate: float = 0.15
    """Share of tokens to be restored, at least one in each row."""
    rate_end: float | None = None
    """The share at the end of the run, reached in a straight line; None = `rate` throughout."""
    whole_words: bool = False
    """Whole words are chosen, with all their tokens."""

    def __post_init__(self) -> None:
        rates = (("rate", self.rate), ("rate_end", self.rate_end))
        rules = [(key, rate is None or 0 < rate <= 1, "above 0 and at most 1") for key, rate in rates]
        refuse_out_of_range("masking", self, rules)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The tables of a recipe. What it leaves out has the paper's value, or that of its model preset."""

    data: DataConfig
    stop: StopConfig
    preset: str = "paper-base"
    """The model that the table `model` changes."""
    seed: int = 1
    """Of starting weights, dropout, order of examples, masks, and what is held out."""
    start_from: str | None = None
    """A model or run folder whose weights, shape and vocabularies the run starts from; None = fresh ones."""
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
        if not 0 <= self.seed <= LARGEST_SEED:
            raise RecipeError(f"seed = {self.seed}: must be from 0 to {LARGEST_SEED}")
        check_schedule(self.schedule, self.stop)
        if self.training.r_drop and not self.model.dropout:
            raise RecipeError(f"training.r_drop = {self.training.r_drop:g} needs model.dropout above 0")

    @property
    def reads_pairs(self) -> bool:
        return self.model.architecture == "encoder-decoder"


BUILT_IN = files("headway") / "recipes"


def built_in_recipes() -> list[str]:
    """Names of the recipes that come with Headway."""
    return sorted(
        path.name.removesuffix(".toml") for path in BUILT_IN.iterdir() if path.name.endswith(".toml")
    )


def read_recipe(
    name: str | Path,
    overrides: Sequence[str] = (),
    changes: Table | None = None,
    without: Sequence[str] = (),
) -> Recipe:
    """The recipe in a file, or a built-in one by name, with a table of changes and `key=value` put in.

    `without` are keys and tables of the file that do not count. Raises RecipeError for what cannot be
    followed, naming the key, and the file where that is to blame.
    """
    path = Path(name)
    if path.suffix != ".toml" and not path.exists():
        if str(name) not in built_in_recipes():
            hint = did_you_mean(str(name), built_in_recipes())
            raise RecipeError(f"there is neither a file nor a built-in recipe {str(name)!r}: {hint}")
        path = Path(str(BUILT_IN / f"{name}.toml"))
    held = {key: value for key, value in read_toml(path).items() if key not in without}
    table = merged(held, changes or {})
    changed = apply_overrides(Recipe, table, overrides)
    try:
        return resolve(changed)
    except RecipeError as error:
        if _fault(table) != str(error):
            raise
        raise RecipeError(f"{path}: {error}") from error


def resolve(table: Table) -> Recipe:
    """The recipe that a table describes, with its preset's fields, or those of the model that it starts from,
    filled in below its own.
    """
    if isinstance(table.get("start_from"), str):
        return from_table(Recipe, started(table))
    name, model = table.get("preset", Recipe.preset), table.get("model", {})
    if isinstance(model, Mapping):
        for key, side in DECIDED_LATER.items():
            if key in model:
                raise RecipeError(f"model.{key}: the tokenizer decides it; set text.{side}.vocab_size")
        fields = preset(name) if isinstance(name, str) else {}
        model = _sizes(table) | merged(fields, model)
    return from_table(Recipe, {**table, "model": model})


def recipe_text(recipe: Recipe) -> str:
    """The whole recipe as TOML, every value spelled out but those that the tokenizers decide.

    Of a run that starts from a model, those that make its vocabularies are left out instead.
    """
    table = table_of(recipe)
    if recipe.start_from is not None:
        return tomli_w.dumps({key: value for key, value in table.items() if key not in ("text", "preset")})
    table["model"] = {key: value for key, value in table["model"].items() if key not in DECIDED_LATER}
    return tomli_w.dumps(table)


def read_whole_recipe(path: Path) -> Recipe:
    """The recipe in a file that holds a `recipe_text`: its preset has nothing left to fill in."""
    table = read_toml(path)
    model = table.get("model", {})
    if isinstance(model, Mapping) and "start_from" not in table:
        table["model"] = _sizes(table) | {key: model[key] for key in model.keys() - DECIDED_LATER.keys()}
    return from_table(Recipe, table, str(path))


def _fault(table: Table) -> str:
    """What is wrong with a table by itself; empty if nothing is."""
    try:
        resolve(table)
    except RecipeError as error:
        return str(error)
    return ""


def _sizes(table: Table) -> Table:
    """Upper bounds of the model's vocabularies, as far as the table makes sense."""
    text = table.get("text", {})
    text = text if isinstance(text, Mapping) else {}
    sizes = {}
    for key, side in DECIDED_LATER.items():
        if side == "target" or side in text:
            chosen = text.get(side, {})
            bound = chosen.get("vocab_size") if isinstance(chosen, Mapping) else None
            # What is no size is told of where it stands, in the table of the text.
            sizes[key] = bound if type(bound) is int and bound > 0 else TokenizerConfig.vocab_size
    return sizes
