import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from headway.bundle import load_bundle
from headway.errors import FolderError, RecipeError, UserError
from headway.launch import train
from headway.recipe import read_whole_recipe
from headway.run_folder import RunFolder, free_folder
from tests.tiny import PAIRS, train_tiny, write_pairs

Runs = dict[str, Path]
TIMES = ("seconds", "tokens_per_second")


def metrics(folder: Path) -> list[dict[str, object]]:
    """The lines of metrics.jsonl but for times and rates."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


@pytest.mark.parametrize("kind", ["pairs", "causal", "masked"])
def test_a_run_folder_holds_all_of_a_run(tiny_runs: Runs, kind: str) -> None:
    folder = tiny_runs[kind]
    recipe = read_whole_recipe(folder / "recipe.toml")
    bundle = load_bundle(folder / "model")
    sizes: dict[str, Any] = {
        "vocab_size": bundle.config.vocab_size,
        "source_vocab_size": bundle.config.source_vocab_size,
    }
    assert replace(recipe.model, **sizes) == bundle.config
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    assert facts["seed"] == recipe.seed
    assert facts["versions"]["torch"] == torch.__version__
    losses = [line["validation"]["loss"] for line in metrics(folder) if "validation" in line]  # type: ignore[index]
    assert len(losses) == 2
    assert losses[1] < losses[0]
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text("utf-8").splitlines()]
    assert {sample["step"] for sample in samples} == {20, 40}
    assert bundle.meta.metrics["loss"] == pytest.approx(min(losses), rel=1e-5)
    card = (folder / "model" / "README.md").read_text("utf-8")
    assert "[optimizer]" in card
    assert "train: " in card


@pytest.mark.parametrize("kind", ["pairs", "masked"])
def test_a_resumed_run_is_the_uninterrupted_one(kind: str, tmp_path: Path) -> None:
    more = ["model.dropout=0.1", "batch.accumulate=2", "training.ema=0.9", "training.save_every=7"]
    whole = train_tiny(kind, tmp_path / "whole", 30, *more).folder.path
    halved = train_tiny(kind, tmp_path / "halved", 30, *more).folder.path
    # As if killed after step 14: what came later is gone, and the log runs ahead of the checkpoint.
    for folder in (halved / "checkpoints").iterdir():
        if folder.name > "step-00000021":
            _remove(folder)
    _remove(halved / "model")
    torch.manual_seed(12345)
    train(halved, say=lambda line: None)
    ours, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (halved, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert metrics(halved) == metrics(whole)


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    data = write_pairs(tmp_path)
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "headway",
        "train",
        str(data),
        *PAIRS,
        "stop.steps=100000",
        "--out",
        str(run),
    ]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 60
    while not list(run.glob("checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert f"Go on with: headway train {run}" in errors
    steps = sorted(int(path.name[5:]) for path in run.glob("checkpoints/step-*"))
    assert metrics(run)[-1]["step"] <= steps[-1]  # type: ignore[operator]


def test_a_finished_run_is_left_alone(tiny_runs: Runs) -> None:
    told: list[str] = []
    before = (tiny_runs["pairs"] / "metrics.jsonl").read_bytes()
    train(tiny_runs["pairs"], say=told.append)
    assert "is finished" in told[0]
    assert "--out" in told[0]
    assert (tiny_runs["pairs"] / "metrics.jsonl").read_bytes() == before


def test_a_run_goes_on_from_any_folder(
    tiny_runs: Runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr("headway.trainer.Trainer.run", lambda self: ("", {}))
    write_pairs(tmp_path)
    overrides = [*PAIRS, "stop.steps=5", "data.train=~/pairs.tsv", "data.cache=cache"]
    train("pairs", overrides=overrides, out="run", say=lambda line: None)
    data = read_whole_recipe(tmp_path / "run" / "recipe.toml").data
    assert (data.train, data.cache) == ((str(tmp_path / "pairs.tsv"),), str(tmp_path / "cache"))


def test_a_run_goes_on_as_it_began(tiny_runs: Runs) -> None:
    with pytest.raises(UserError, match="start a new one"):
        train(tiny_runs["pairs"], overrides=["stop.steps=50"])


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine", "utf-8")
    with pytest.raises(FolderError, match="there already"):
        train(
            write_pairs(tmp_path),
            overrides=[*PAIRS, "stop.steps=5"],
            out=tmp_path / "run",
            say=lambda line: None,
        )
    assert free_folder("run", tmp_path) == tmp_path / "run-2"


def test_a_wrong_recipe_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="stop: give steps"):
        data = f"data.train={json.dumps([str(write_pairs(tmp_path))])}"
        train("pairs", overrides=[data, *PAIRS], out=tmp_path / "run", say=lambda line: None)
    assert not (tmp_path / "run").exists()


def test_the_model_can_be_the_average_of_checkpoints(tmp_path: Path) -> None:
    more = ["training.final=average", "training.average=3", "training.keep_last=3", "training.save_every=5"]
    folder = RunFolder(train_tiny("pairs", tmp_path, 20, *more).folder.path)
    kept = sorted(folder.checkpoints.iterdir())[-3:]
    several = [load_file(path / "model.safetensors") for path in kept]
    mean = torch.stack([weights["encoder.norm.weight"] for weights in several]).mean(0)
    found = load_file(folder.model / "model.safetensors")["encoder.norm.weight"]
    torch.testing.assert_close(found, mean)


def test_an_unfinished_run_has_no_model_yet(tiny_runs: Runs, tmp_path: Path) -> None:
    from headway.api import load

    (tmp_path / "recipe.toml").write_bytes((tiny_runs["pairs"] / "recipe.toml").read_bytes())
    with pytest.raises(UserError, match="has no model yet; go on with it by `headway train"):
        load(tmp_path)


def test_a_small_context_is_enough_to_be_looked_at(tmp_path: Path) -> None:
    folder = train_tiny("causal", tmp_path, 20, "batch.context=8").folder.path
    assert (folder / "samples.jsonl").read_text("utf-8").count("\n") == 2
