from pathlib import Path

from tests.commands.program import headway, refused

Runs = dict[str, Path]


def test_a_model_a_run_and_a_recipe_can_be_seen(tiny_runs: Runs) -> None:
    run = headway("inspect", tiny_runs["pairs"]).stdout
    assert "encoder-decoder" in run
    assert "(symbols)" in run
    assert headway("inspect", tiny_runs["pairs"] / "model").stdout.count("held-out loss") == 1
    recipe = headway("inspect", "demo-pronounce", "model.d_model=64").stdout
    assert "peak rate" in recipe
    assert "d_model" in recipe


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    assert "did you mean 'pairs'" in refused(headway("inspect", "pair"))
    assert "is no model folder" in refused(headway("inspect", tmp_path))
