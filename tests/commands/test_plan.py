"""`headway plan`, and the plan that `headway train` follows and keeps."""

import tomllib
from pathlib import Path

import pytest

import headway as library
from headway.planning import propose
from headway.planning.machine import Machine
from headway.recipe import read_recipe
from tests.commands.program import headway, refused
from tests.planning.texts import MACHINE, pronunciations
from tests.tiny import PAIRS, write_pairs


@pytest.fixture(autouse=True)
def known_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    def machine(runtime: object) -> Machine:
        return MACHINE

    monkeypatch.setattr(propose, "this_machine", machine)


def test_a_plan_is_a_recipe_with_its_reasons(tmp_path: Path) -> None:
    data = pronunciations(tmp_path, 300)
    done = headway("plan", data.name, "model.d_model=96", "--minutes", "2", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "learning pairs" in done.stderr
    table = tomllib.loads(done.stdout)
    assert (table["model"]["d_model"], table["stop"]["minutes"]) == (96, 2)
    assert "# 300 pairs" in done.stdout
    assert "d_model = 96  # as given" in done.stdout
    assert "20 different symbols between blanks" in done.stdout
    assert "about 2 minutes of training" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [data.name], "nothing is written"


def test_a_plan_in_a_file_is_trained_by(tmp_path: Path) -> None:
    data = pronunciations(tmp_path, 300)
    done = headway("plan", data.name, *PAIRS, "stop.steps=2", "--out", "mine.toml", folder=tmp_path)
    assert done.stdout == ""
    assert "headway train mine.toml" in done.stderr
    trained = headway("train", "mine.toml", folder=tmp_path)
    assert trained.returncode == 0, trained.stderr


def test_training_shows_its_plan_and_keeps_it(tmp_path: Path) -> None:
    data = write_pairs(tmp_path)
    done = headway("train", data, *PAIRS, "stop.steps=2", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert 'text.target.kind = "symbols"  (as given)' in done.stderr
    assert "about 2 predicted" not in done.stderr
    kept = (tmp_path / "run" / "plan.toml").read_text("utf-8")
    assert "# against single bad batches" in kept
    assert read_recipe(tmp_path / "run" / "plan.toml").stop.steps == 2


def test_from_python(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"source": ["ab", "ba"] * 30, "target": [f"{n} x" for n in range(60)]})
    plan = library.plan(frame, minutes=1, say=lambda line: None)
    assert (plan.objective, plan.facts.examples, plan.recipe.stop.minutes) == ("pairs", 60, 1)
    assert plan.recipe.data.layout == "jsonl"


def test_dials_are_for_data(tmp_path: Path, tiny_runs: dict[str, Path]) -> None:
    for thing in (tiny_runs["pairs"], "demo-pronounce"):
        assert "are for data files" in refused(headway("train", thing, "--minutes", "3"))
    assert "did you mean 'small'" in refused(headway("train", write_pairs(tmp_path), "--size", "smal"))
    assert "there is no such file" in refused(headway("plan", tmp_path / "none.tsv"))
