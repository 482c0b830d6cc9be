"""Several seeds: each its own run, one recipe, gone on with where they were stopped."""

import json
from pathlib import Path

import pytest

from headway.errors import FolderError, UserError
from headway.recipe import read_whole_recipe
from headway.run import Outcome
from headway.run_folder import RunFolder
from headway.sweep import read_sweep, resume_sweep, train_seeds
from tests.commands.program import headway, refused
from tests.tiny import PAIRS, write_pairs

RECIPE = ["pairs", *PAIRS, "stop.steps=2", "training.samples=0"]


def quiet(line: str) -> None:
    """Says nothing."""


def test_seeds_differ_in_their_seed_alone(tmp_path: Path) -> None:
    recipe = [*RECIPE, f"data.train={write_pairs(tmp_path)}", "seed=4"]
    done = headway("train", *recipe, "--seeds", "2", "--out", tmp_path / "s")
    assert done.returncode == 0, done.stderr
    assert "deviation" in done.stdout
    runs = read_sweep(tmp_path / "s").runs
    assert list(runs) == [4, 5]
    first, second = (read_whole_recipe(run.recipe) for run in runs.values())
    assert (first.seed, second.seed) == (4, 5)
    assert first.model == second.model
    assert first.data == second.data
    weights = [(run.model / "model.safetensors").read_bytes() for run in runs.values()]
    assert weights[0] != weights[1]
    again = headway("train", tmp_path / "s")
    assert again.stdout == done.stdout, "it is finished, and told again"
    assert "several seeds go on as they began" in refused(headway("train", tmp_path / "s", "seed=1"))
    taken = refused(headway("train", *recipe, "--seeds", "2", "--out", tmp_path / "s"))
    assert f"go on with it by `headway train {tmp_path / 's'}`" in taken


@pytest.mark.slow
def test_a_sweep_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headway import sweep

    overrides, out = [*RECIPE[1:], f"data.train={write_pairs(tmp_path)}"], tmp_path / "s"
    real, stops = sweep.train, [False, True]

    def stopping(*things: object, **wishes: object) -> Outcome:
        if stops.pop(0):
            return Outcome(RunFolder(Path(str(wishes["out"]))), "", {}, 143)
        return real(*things, **wishes)  # type: ignore[arg-type]

    monkeypatch.setattr(sweep, "train", stopping)
    found = train_seeds("pairs", seeds=3, overrides=overrides, out=out, say=quiet)
    assert (found.exit_status, found.seeds) == (143, None)
    assert [run.exists for run in found.sweep.runs.values()] == [True, False, False]
    monkeypatch.setattr(sweep, "train", real)
    before = (out / "seed-1" / "model" / "model.safetensors").stat().st_mtime_ns
    done = resume_sweep(out, quiet)
    assert done.sweep.is_finished
    assert (out / "seed-1" / "model" / "model.safetensors").stat().st_mtime_ns == before
    assert done.seeds is not None
    loss = next(spread for spread in done.seeds.spreads if spread.name == "loss")
    config = json.loads((out / "seed-3" / "model" / "config.json").read_text("utf-8"))
    assert loss.values[2] == config["info"]["metrics"]["loss"]


def test_what_cannot_be_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_pairs(tmp_path)
    with pytest.raises(UserError, match="seeds = 0"):
        train_seeds(data, seeds=0)
    with pytest.raises(UserError, match=r"optimizer\.rat"):
        train_seeds(data, seeds=2, overrides=["optimizer.rat=1"], out=tmp_path / "s", say=quiet)
    assert not (tmp_path / "s").exists()
    (tmp_path / "sweep.json").write_text('{"first_seed": "1"}', "utf-8")
    with pytest.raises(FolderError, match="first_seed and seeds"):
        resume_sweep(tmp_path, quiet)
    (tmp_path / "sweep.json").write_text('{"first_seed": 1, "seeds": 2}', "utf-8")
    with pytest.raises(FolderError, match="never begun"):
        resume_sweep(tmp_path, quiet)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="several processes"):
        train_seeds(data, seeds=2)
