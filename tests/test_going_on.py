"""What may happen to a run between its start and its end, and what the user is told."""

import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from headway.bundle import load_bundle
from headway.data.token_file import TokenFile
from headway.errors import DataError, FolderError, RecipeError, UserError
from headway.launch import train
from headway.model.architectures import build
from headway.run_folder import RunFolder
from tests.tiny import PAIRS, WORDS, train_tiny, write_pairs


def unfinished(run: RunFolder) -> None:
    """As if it had been stopped at its last checkpoint but one."""
    shutil.rmtree(run.model)
    shutil.rmtree(max(run.checkpoints.iterdir()))


def goes_on(run: RunFolder) -> list[str]:
    told: list[str] = []
    train(run.path, say=told.append)
    assert run.is_finished
    return told


def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a step was made")

    monkeypatch.setattr("headway.trainer.train", refuse)


SHORT = ["training.save_every=5", "training.validate_every=5", "training.samples=0"]


@pytest.mark.parametrize("cache", [True, False])
def test_the_vocabulary_stays_when_the_text_changes(tmp_path: Path, cache: bool) -> None:
    more = [f"data.cache={tmp_path / 'cache'}"] if cache else []
    run = train_tiny("pairs", tmp_path, 10, *SHORT, *more).folder
    before = load_bundle(run.model).tokenizers.target.fingerprint
    unfinished(run)
    if not cache:
        shutil.rmtree(run.data)
    with (tmp_path / "pairs.tsv").open("a", encoding="utf-8") as file:
        file.writelines(f"{word}x\tX Y Z {word}\n" for word in WORDS)
    told = goes_on(run)
    assert load_bundle(run.model).tokenizers.target.fingerprint == before
    assert "learning the vocabulary" not in told
    [warning] = [line for line in told if line.startswith("warning: ")]
    assert "held-out figures are no longer clean" in warning


def test_unchanged_text_is_neither_encoded_again_nor_warned_of(tmp_path: Path) -> None:
    run = train_tiny("pairs", tmp_path, 10, *SHORT, f"data.cache={tmp_path / 'cache'}").folder
    unfinished(run)
    told = goes_on(run)
    assert not [line for line in told if line.startswith(("warning", "encoding", "learning"))]
    assert "going on from step 5" in told


def test_other_tokenizers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train_tiny("pairs", tmp_path, 10, *SHORT).folder
    unfinished(run)
    text = run.recipe.read_text("utf-8")
    run.recipe.write_text(text.replace("lowercase = false", "lowercase = true"), "utf-8")
    no_training(monkeypatch)
    with pytest.raises(FolderError, match="its tokenizers are not those that the run began with"):
        train(run.path, say=lambda line: None)
    run.recipe.write_text(text, "utf-8")
    monkeypatch.undo()
    goes_on(run)


def test_an_edited_model_is_refused(tmp_path: Path) -> None:
    run = train_tiny("pairs", tmp_path, 10, *SHORT).folder
    unfinished(run)
    run.recipe.write_text(run.recipe.read_text("utf-8").replace("d_model = 32", "d_model = 16"), "utf-8")
    with pytest.raises(FolderError, match="the recipe's model is not that of the checkpoint"):
        train(run.path, say=lambda line: None)


def test_a_start_that_failed_leaves_its_name_free(tmp_path: Path) -> None:
    data, run = tmp_path / "pairs.tsv", tmp_path / "run"
    data.write_text("a\tb\nno tab\n" + "c\td\n" * 20, "utf-8")
    overrides = [*PAIRS, *SHORT, "stop.steps=5"]
    with pytest.raises(DataError, match="line 2"):
        train(data, objective="pairs", overrides=overrides, out=run, say=lambda line: None)
    assert not run.exists()
    write_pairs(tmp_path)
    assert train(data, overrides=overrides, out=run, say=lambda line: None).folder.is_finished


def test_only_what_is_ours_is_taken_back(tmp_path: Path) -> None:
    data, run = tmp_path / "pairs.tsv", tmp_path / "run"
    data.write_text("a\tb\nno tab\n", "utf-8")
    run.mkdir()
    with pytest.raises(DataError, match="line 2"):
        train(data, objective="pairs", overrides=[*PAIRS, "stop.steps=5"], out=run, say=lambda line: None)
    assert run.is_dir()


@pytest.mark.parametrize("place", ["encode_stream", "held_out_loss"])
def test_ctrl_c_anywhere_says_how_to_go_on(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    module = "headway.data.prepare" if place == "encode_stream" else "headway.trainer"
    with monkeypatch.context() as patched:
        patched.setattr(f"{module}.{place}", stop)
        outcome = train_tiny("pairs", tmp_path, 5, "training.samples=0")
    assert outcome.exit_status == 130
    assert outcome.metrics == {}
    goes_on(outcome.folder)


@pytest.mark.parametrize(("kind", "length"), [("pairs", 5), ("causal", 31)])
def test_learned_positions_must_reach(
    tmp_path: Path, kind: str, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pairs of three letters and </s>; rows of 32 tokens."""
    no_training(monkeypatch)
    more = ["model.positions.kind=learned", "model.positions.max_length={}"]
    short = 3 if kind == "pairs" else 31
    with pytest.raises(
        RecipeError, match=rf"model\.positions\.max_length = {short}: rows of {short + 1} tokens"
    ):
        train_tiny(kind, tmp_path, 5, more[0], more[1].format(short))
    with pytest.raises(AssertionError, match="a step was made"):
        train_tiny(kind, tmp_path / "enough", 5, more[0], more[1].format(short + 1))


def test_two_runs_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    run = train_tiny("pairs", tmp_path, 10, *SHORT).folder
    unfinished(run)
    with run.locked(), pytest.raises(FolderError, match="another process works here"):
        train(run.path, say=lambda line: None)


def test_without_tensorboard_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r"pip install 'headway\[tensorboard\]'"):
        train_tiny("pairs", tmp_path, 5, "training.tensorboard=true")
    assert not (tmp_path / "pairs").exists()


@pytest.mark.parametrize("kind", ["pairs", "masked"])
def test_the_commonest_is_what_occurs_most(tiny_runs: dict[str, Path], kind: str) -> None:
    run = RunFolder(tiny_runs[kind])
    bundle, text = load_bundle(run.model), TokenFile(run.data / "train.tokens")
    if kind == "masked":
        tokens = Counter(token for i in range(len(text)) for token in text.ids(i).tolist())
        assert tokens[bundle.meta.commonest_token] == max(tokens.values())
    else:
        targets = Counter(bundle.tokenizers.target.decode(text.ids(i).tolist()) for i in range(len(text)))
        assert targets[bundle.meta.commonest_target] == max(targets.values())


def test_one_step_is_a_step(tmp_path: Path) -> None:
    """The last step of a schedule that comes down to nothing still moves."""
    more = ["schedule.kind=linear", "training.final=last", "schedule.warmup=0", "training.samples=0"]
    run = train_tiny("pairs", tmp_path, 1, *more).folder
    torch.manual_seed(1)
    untrained = build(load_bundle(run.model).config).state_dict()
    trained = load_file(run.model / "model.safetensors")
    assert all(not torch.equal(trained[name], untrained[name]) for name in trained)
