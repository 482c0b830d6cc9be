from pathlib import Path

from headway.overview import PAPER_MILLIONS
from tests.commands.program import headway, refused
from tests.model.test_presets import TABLE_3_MILLIONS

Runs = dict[str, Path]


def test_a_model_a_run_and_a_recipe_can_be_seen(tiny_runs: Runs) -> None:
    run = headway("inspect", tiny_runs["pairs"]).stdout
    assert "encoder-decoder" in run
    assert "(symbols)" in run
    assert headway("inspect", tiny_runs["pairs"] / "model").stdout.count("held-out loss") == 1
    recipe = headway("inspect", "demo-pronounce", "model.d_model=64").stdout
    assert "peak rate" in recipe
    assert "d_model" in recipe


def test_a_run_shows_its_health_and_its_curves(tiny_runs: Runs, tmp_path: Path) -> None:
    for kind, folder in tiny_runs.items():
        done = headway("inspect", folder)
        assert "finished, at step 40" in done.stdout
        assert "diagnosis: nothing wrong" in done.stdout, kind
        assert "held-out text" in done.stdout
        assert done.stdout.index("held-out text") < done.stdout.index("parameters")
        assert "warning" not in (folder / "metrics.jsonl").read_text("utf-8")
    figure = tmp_path / "curves.png"
    assert headway("inspect", tiny_runs["pairs"], "--plot", figure).returncode == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert "a figure's name ends in" in refused(headway("inspect", tiny_runs["pairs"], "--plot", "x.gif"))
    assert "only a run has curves" in refused(headway("inspect", "pairs", "--plot", figure))


def test_a_run_without_a_model_yet_shows_both_too(tiny_runs: Runs, tmp_path: Path) -> None:
    for name in ("recipe.toml", "metrics.jsonl", "samples.jsonl"):
        (tmp_path / name).write_bytes((tiny_runs["pairs"] / name).read_bytes())
    shown = headway("inspect", tmp_path).stdout
    assert "stopped, at step 40" in shown
    assert "peak rate" in shown


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    assert "did you mean 'pairs'" in refused(headway("inspect", "pair"))
    assert "is no model folder" in refused(headway("inspect", tmp_path))


def test_a_recipe_needs_no_data_and_a_preset_no_recipe() -> None:
    assert "peak rate" in headway("inspect", "pairs").stdout
    base = headway("inspect", "paper-base").stdout
    assert "a vocabulary of 37,000" in base
    assert "Table 3 of the paper says 65 million; this has 63" in base
    assert "says 65 million; this has 65" in headway("inspect", "paper-base", "model.vocab_size=41000").stdout
    assert "Table 3" not in headway("inspect", "masked-small").stdout


def test_what_is_too_much_is_refused(tiny_runs: Runs) -> None:
    assert "more: name one" in refused(headway("inspect", "pairs", "more"))
    assert "write model.KEY=VALUE" in refused(headway("inspect", "paper-base", "seed=3"))
    assert "as it is" in refused(headway("inspect", tiny_runs["pairs"], "seed=3"))
    assert "a recipe nor a preset 'paper-bas': did you mean 'paper-base'" in refused(
        headway("inspect", "paper-bas")
    )


def test_the_figures_of_the_paper_are_told_as_they_are() -> None:
    big = {"paper-big": 213, "table3-big": 213}
    assert TABLE_3_MILLIONS | big | {"paper-base": 65} == PAPER_MILLIONS
