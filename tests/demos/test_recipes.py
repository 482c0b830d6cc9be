import pytest

from headway.demos.run import DEMOS
from headway.recipe import built_in_recipes, read_recipe

GENERIC = {"pairs": "encoder-decoder", "causal": "decoder", "masked": "encoder"}
OF_DEMOS = {
    "demo-pronounce": "encoder-decoder",
    "demo-fill": "encoder",
    "demo-complete": "decoder",
    "demo-simplify": "encoder-decoder",
}


@pytest.mark.parametrize(("name", "architecture"), (GENERIC | OF_DEMOS).items())
def test_a_recipe_trains_what_its_name_says(name: str, architecture: str) -> None:
    assert name in built_in_recipes()
    changes = {"data": {"train": ["text.txt"]}} if name in GENERIC else {}
    assert read_recipe(name, [], changes).model.architecture == architecture


@pytest.mark.parametrize("name", DEMOS)
def test_the_recipe_of_a_demo_names_the_files_that_it_writes(name: str) -> None:
    demo = DEMOS[name]
    data = read_recipe(demo.recipe).data
    assert data.train == (f"runs/{demo.recipe}-data/{demo.train}",)
    assert data.valid == (f"runs/{demo.recipe}-data/{demo.valid}",)
    assert data.layout == demo.layout


@pytest.mark.parametrize("name", DEMOS)
def test_a_demo_takes_minutes_and_its_rate_falls_to_zero(name: str) -> None:
    recipe = read_recipe(DEMOS[name].recipe)
    assert recipe.stop.minutes == 3
    assert recipe.schedule.kind == "linear"
    assert recipe.schedule.final == 0
