import os
from contextlib import chdir
from pathlib import Path

import pytest

from headway.errors import UserError
from headway.launch import train
from headway.planning.objective import objective_for, read_data_config
from headway.run_folder import RunFolder
from tests.commands.program import headway, refused
from tests.tiny import PAIRS, write_pairs


def test_data_become_a_model_that_answers(tmp_path: Path) -> None:
    data = write_pairs(tmp_path)
    done = headway("train", data.name, *PAIRS, "stop.steps=20", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "run folder: runs/pairs" in done.stderr.replace(os.sep, "/")
    assert "train: " in done.stderr
    run = RunFolder(tmp_path / "runs" / "pairs")
    assert run.is_finished
    assert headway("predict", run.path, typed="bal\n").stdout.count("\n") == 1
    again = headway("train", data.name, *PAIRS, "stop.steps=20", folder=tmp_path)
    assert "run folder: runs/pairs-2" in again.stderr.replace(os.sep, "/")


def test_text_from_standard_input(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path).read_text("utf-8")
    done = headway(
        "train", "-", *PAIRS, "stop.steps=20", "--out", tmp_path / "run", "--objective", "pairs", typed=pairs
    )
    assert done.returncode == 0, done.stderr
    assert RunFolder(tmp_path / "run").is_finished


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\nc d\n", "line 2: missing tab"),
        ("a\tb\n\tc\n", "line 2"),
        ("", "empty"),
        ("a\tb\n", "give a validation file"),
    ],
)
def test_bad_data_is_named_by_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    data = tmp_path / "data.tsv"
    data.write_text(content, "utf-8")
    arguments = ("--objective", "pairs", "--out", tmp_path / "run", "stop.steps=5")
    found = headway("train", data, *arguments)
    assert found.returncode == 2
    last = found.stderr.splitlines()[-1]
    assert last.startswith("headway: ")
    assert "data.tsv" in last
    assert message in last


def test_wrong_keys_are_told_with_the_nearest_right_one(tmp_path: Path) -> None:
    data = write_pairs(tmp_path)
    out = tmp_path / "run"
    assert "did you mean 'steps'" in refused(headway("train", data, "stop.stepps=5", "--out", out))
    assert "did you mean 'causal'" in refused(headway("train", "casual"))
    assert not out.exists()


def test_the_objective_follows_from_data(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"de": "Haus", "en": "house"}\n', "utf-8")
    (tmp_path / "text.de").write_text("Haus\n", "utf-8")
    (tmp_path / "text.en").write_text("house\n", "utf-8")
    fields = ["data.source_field=de", "data.target_field=en"]
    for things, overrides, expected in (
        (["pairs.jsonl"], fields, "pairs"),
        (["pairs.jsonl"], [], "causal"),
        (["text.de", "text.en"], ["data.layout=parallel"], "pairs"),
        (["text.de", "text.en"], [], "causal"),
        (["pairs.jsonl"], [*fields, "data.layout=lines"], "causal"),
        (["text.de"], ["data.columns=[1, 2]"], "pairs"),
    ):
        with chdir(tmp_path):
            objective, reason = objective_for(read_data_config(things, overrides))
        assert (objective, bool(reason)) == (expected, True), things


def test_an_objective_that_would_be_ignored_is_refused(tiny_runs: dict[str, Path]) -> None:
    for thing in (tiny_runs["pairs"], "demo-pronounce", tiny_runs["pairs"] / "recipe.toml"):
        assert "is for data files" in refused(headway("train", thing, "--objective", "masked"))
    with pytest.raises(UserError, match="name a recipe"):
        train()
