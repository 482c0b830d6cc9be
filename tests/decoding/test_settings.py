"""A search that cannot be, or a setting without effect, is refused by name."""

import pytest

from headway.decoding.settings import SearchConfig
from headway.errors import RecipeError


def test_the_defaults_are_the_papers() -> None:
    config = SearchConfig()
    assert (config.method, config.beams, config.length_penalty) == ("beam", 4, 0.6)
    assert (config.max_ratio, config.max_extra) == (1.0, 50)


@pytest.mark.parametrize(
    "change",
    [
        {"beams": 0},
        {"n_best": 0},
        {"length_penalty": -0.1},
        {"max_extra": 0},
        {"temperature": 0.0},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"repetition_penalty": 0.0},
        {"batch_tokens": 0},
        {"min_length": -1},
    ],
)
def test_values_out_of_range_are_refused_by_name(change: dict[str, float]) -> None:
    [key] = change
    with pytest.raises(RecipeError, match=rf"search\.{key}"):
        SearchConfig(**{"method": "sample", **change})


@pytest.mark.parametrize("key, value", [("temperature", 0.7), ("top_k", 5), ("top_p", 0.9), ("min_p", 0.1)])
@pytest.mark.parametrize("method", ["beam", "greedy"])
def test_settings_without_effect_are_refused(method: str, key: str, value: float) -> None:
    with pytest.raises(RecipeError, match=rf"search\.{key}.*no effect"):
        SearchConfig(method=method, **{key: value})
    assert getattr(SearchConfig(method="sample", **{key: value}), key) == value


def test_as_many_hypotheses_as_the_method_finds() -> None:
    with pytest.raises(RecipeError, match="n_best = 5"):
        SearchConfig(n_best=5)
    with pytest.raises(RecipeError, match="n_best"):
        SearchConfig(method="greedy", n_best=2)
    with pytest.raises(RecipeError, match="repetition_penalty"):
        SearchConfig(repetition_penalty=1.2)
    assert SearchConfig(method="sample", n_best=9).n_best == 9
