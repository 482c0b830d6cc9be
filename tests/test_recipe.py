"""A recipe is read strictly; who made a mistake is told where."""

from pathlib import Path
from typing import Any

import pytest

from headway.config import Table
from headway.errors import RecipeError
from headway.recipe import LARGEST_SEED, Recipe, read_recipe, read_whole_recipe, recipe_text, resolve

LEAST: Table = {"data": {"train": ["a.tsv"]}, "stop": {"steps": 1}}


def refusal(table: Table) -> str:
    with pytest.raises(RecipeError) as caught:
        resolve(LEAST | table)
    return str(caught.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"seed": -1}, "seed = -1: must be from 0"),
        ({"seed": 99999999999999999999}, "seed = 99999999999999999999: must be from 0"),
        ({"runtime": {"threads": -1}}, "runtime.threads = -1: must be from 0"),
        ({"masking": {"rate": 0.0}}, "masking.rate = 0.0: must be above 0 and at most 1"),
        ({"masking": {"rate_end": 1.5}}, "masking.rate_end = 1.5: must be above 0 and at most 1"),
        ({"batch": {"context": 3}}, "batch.context = 3: must be at least 4"),
        ({"optimizer": {"rate": float("nan")}}, "optimizer.rate = nan: must be a finite number"),
        ({"text": 3}, "text = 3: a table is right here"),
        ({"text": {"target": 3}}, "text.target = 3: a table is right here"),
        ({"model": 3}, "model = 3: a table is right here"),
        ({"preset": 3}, "preset = 3: a string is right here"),
        (
            {"model": {"vocab_size": 5}},
            "model.vocab_size: the tokenizer decides it; set text.target.vocab_size",
        ),
        ({"model": {"source_vocab_size": 5}}, "set text.source.vocab_size"),
        ({"model": {"dropout": 0.0}, "training": {"r_drop": 2.0}}, "r_drop = 2 needs model.dropout above 0"),
        ({"model": {"d_model": 10**12}}, "at most 100,000,000,000"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_key(table: Table, said: str) -> None:
    assert said in refusal(table)


def test_the_largest_seed_will_do() -> None:
    assert resolve(LEAST | {"seed": LARGEST_SEED}).seed == LARGEST_SEED


def test_a_mistake_in_an_override_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('data.train = ["a.tsv"]\nstop.steps = 3\n', "utf-8")
    for name in (path, "pairs"):
        with pytest.raises(RecipeError, match=r"^optimizer\.clip = -1\.0: must be at least 0"):
            read_recipe(name, ["data.train=a.tsv", "optimizer.clip=-1"])
    path.write_text('data.train = ["a.tsv"]\nstop.steps = 3\noptimizer.clip = -1', "utf-8")
    with pytest.raises(RecipeError, match=r"mine\.toml: optimizer\.clip = -1\.0"):
        read_recipe(path, ["seed=3"])


def read_back(recipe: Recipe, folder: Path, **changes: Any) -> tuple[Recipe, Recipe]:
    """A written recipe as a run reads it, and as somebody's recipe."""
    path = folder / "recipe.toml"
    path.write_text(recipe_text(recipe), "utf-8")
    return read_whole_recipe(path), read_recipe(path)


@pytest.mark.parametrize("preset", ["pairs-small", "causal-small", "table3-b-dk16"])
def test_a_written_recipe_is_the_recipe(preset: str, tmp_path: Path) -> None:
    table = LEAST | {"preset": preset, "text": {"target": {"vocab_size": 700}}}
    if preset == "pairs-small":
        table["text"]["source"] = {"kind": "characters", "vocab_size": 90}
    recipe = resolve(table)
    assert "source_vocab_size" not in recipe_text(recipe)
    assert read_back(recipe, tmp_path) == (recipe, recipe)


def test_a_file_of_a_run_that_spells_its_sizes_out_is_read_too(tmp_path: Path) -> None:
    recipe = resolve(LEAST)
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_text(recipe).replace("[model]\n", "[model]\nvocab_size = 5\n"), "utf-8")
    assert read_whole_recipe(path) == recipe
