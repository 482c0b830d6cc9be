"""Runs that start from a model: with its weights, shape and vocabularies, and with no other."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from headway.bundle import Bundle, BundleInfo, load_bundle, save_bundle
from headway.errors import FolderError, RecipeError, UserError
from headway.launch import train
from headway.model.architectures import build
from headway.model.config import TransformerConfig
from headway.recipe import read_recipe, read_whole_recipe
from headway.run import Outcome
from headway.start_from import read_start
from headway.text.tokenizer import Tokenizers
from tests.commands.program import headway
from tests.text.foreign import LINES, gpt2
from tests.tiny import write_pairs, write_text

QUICK = [
    "schedule.kind=constant",
    "schedule.warmup=0",
    "stop.minutes=0",
    "stop.patience=0",
    "training.samples=1",
    "batch.tokens=256",
    "batch.context=32",
]


def go_on(data: Path, folder: Path, out: Path, *overrides: str, **more: Any) -> Outcome:
    told: list[str] = []
    quick = [each for each in QUICK if each.partition("=")[0] not in str(overrides)]
    return train(
        data,
        overrides=[*quick, "stop.steps=2", *overrides],
        out=out,
        start_from=folder,
        say=told.append,
        **more,
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model = load_bundle(folder).model
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def differ(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
    assert one.keys() == other.keys()
    return {name for name in one if not torch.equal(one[name], other[name])}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal model with a vocabulary from elsewhere, and room for more tokens than that has."""
    torch.manual_seed(1)
    config = TransformerConfig(vocab_size=304, encoder_layers=0, decoder_layers=2, d_model=16, d_ff=16)
    bundle = Bundle(config, build(config), Tokenizers(None, gpt2()), BundleInfo())
    folder: Path = tmp_path_factory.mktemp("foreign") / "model"
    save_bundle(bundle, folder, "")
    return folder


@pytest.mark.parametrize("name", ["there/config.json", "model.gguf"])
def test_another_program_s_model_is_to_be_imported_first(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("{}", "utf-8")
    place = file if file.suffix == ".gguf" else file.parent
    with pytest.raises(FolderError, match=f"imported first: headway import {place}"):
        read_start(place)


def test_it_begins_with_the_weights_and_keeps_shape_and_vocabulary(
    tiny_runs: dict[str, Path], tmp_path: Path
) -> None:
    data = write_pairs(tmp_path)
    start = tiny_runs["pairs"]
    # A rate of nearly nothing: what is trained is what was there.
    outcome = go_on(data, start, tmp_path / "run", "optimizer.rate=1e-12", "stop.steps=1")
    before, after = weights(start / "model"), weights(outcome.folder.model)
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    loaded = load_bundle(outcome.folder.model)
    for one, other in zip(read_start(start).tokenizers, loaded.tokenizers, strict=True):
        assert one is not None
        assert other is not None
        assert one.fingerprint == other.fingerprint
    recipe = read_whole_recipe(outcome.folder.recipe)
    assert recipe.start_from == str(start)
    assert recipe.model == read_start(start).config
    assert "[text" not in outcome.folder.recipe.read_text()


def test_a_foreign_vocabulary_is_learned_on_and_resumed_bit_for_bit(foreign: Path, tmp_path: Path) -> None:
    data = tmp_path / "text.txt"
    data.write_text("\n".join(f"{i} {line}" for i, line in enumerate(LINES)))
    settings = ("training.save_every=2", "training.validate_every=2", "training.ema=0.9")
    whole = go_on(data, foreign, tmp_path / "whole", "stop.steps=4", *settings)
    assert load_bundle(whole.folder.model).tokenizers.target.special == gpt2().special
    assert load_bundle(whole.folder.model).config.vocab_size == 304
    held = json.loads((whole.folder.tokenizers / "text.json").read_text())
    assert held["special"]["target"]["end"] == gpt2().special.end

    part = go_on(data, foreign, tmp_path / "part", "stop.steps=4", *settings)
    for path in (part.folder.model, part.folder.checkpoints / "step-00000004"):
        path.rename(path.with_name(f"{path.name}.gone"))
    moved = foreign.rename(foreign.with_name("elsewhere"))
    try:
        resumed = train(part.folder.path, say=lambda _: None)
    finally:
        moved.rename(foreign)
    assert differ(weights(whole.folder.model), weights(resumed.folder.model)) == set()
    assert differ(weights(whole.folder.model), weights(foreign))


def test_a_run_that_never_saved_begins_anew_and_sees_another_model(foreign: Path, tmp_path: Path) -> None:
    data = write_text(tmp_path)
    outcome = go_on(data, foreign, tmp_path / "run")
    for path in (outcome.folder.model, outcome.folder.checkpoints):
        path.rename(path.with_name(f"{path.name}.gone"))
    again = train(outcome.folder.path, say=lambda _: None)
    gone = weights(outcome.folder.path / "model.gone")
    assert differ(weights(again.folder.model), gone) == set()

    for path in (outcome.folder.model, outcome.folder.checkpoints):
        path.rename(path.with_name(f"{path.name}.again"))
    config = TransformerConfig(vocab_size=304, encoder_layers=0, decoder_layers=1, d_model=16, d_ff=16)
    other = Bundle(config, build(config), Tokenizers(None, gpt2()), BundleInfo())
    before = foreign.rename(foreign.with_name("before"))
    try:
        save_bundle(other, foreign, "")
        with pytest.raises(FolderError, match="another model than the one with which the run began"):
            train(outcome.folder.path, say=lambda _: None)
    finally:
        foreign.rename(foreign.with_name("other"))
        before.rename(foreign)


def test_frozen_parts_stay_as_they_are(tiny_runs: dict[str, Path], tmp_path: Path) -> None:
    data, start = write_pairs(tmp_path), tiny_runs["pairs"]
    frozen = "training.freeze=['encoder', 'embedding']"
    outcome = go_on(
        data, start, tmp_path / "run", frozen, "optimizer.kind=adamw", "optimizer.weight_decay=0.1"
    )
    changed = differ(weights(start / "model"), weights(outcome.folder.model))
    assert changed
    assert not any(name.startswith(("encoder.", "embedding.")) for name in changed)
    assert any(name.startswith("decoder.") for name in changed)
    assert any(name.startswith("source_embedding.") for name in changed)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.d_model=48", r"model.d_model = 48: the model in .* has 32, and its weights fit no other"),
        ("model.norm.position=post", "model.norm.position = 'post': .* has 'pre'"),
        ("model.attention.num_kv_heads=1", "has none"),
        ("model.vocab_size=7", "model.vocab_size = 7"),
        ("preset=modern", "model.encoder_layers = 6: .* has 1"),
        ("text.target.kind=words", r"text: the model in .* \(it is of kind 'symbols'\); leave text out"),
        ("training.freeze=['encodr']", "no part 'encodr': did you mean 'encoder'"),
        (
            "training.freeze=['encoder', 'decoder', 'embedding', 'source_embedding', 'output']",
            "nothing is left",
        ),
    ],
)
def test_another_model_is_refused_with_the_reason(
    override: str, said: str, tiny_runs: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=said):
        go_on(write_pairs(tmp_path), tiny_runs["pairs"], tmp_path / "run", override)
    assert not (tmp_path / "run").exists()


def test_text_that_agrees_is_no_other(tiny_runs: dict[str, Path], tmp_path: Path) -> None:
    start = tiny_runs["pairs"]
    again = read_recipe(
        start / "recipe.toml", ["stop.steps=3", "model.dropout=0.3"], {"start_from": str(start)}
    )
    assert again.model.dropout == 0.3
    assert again.model.vocab_size == read_start(start).tokenizers.target.vocab_size
    lower = ["text.target.lowercase=true"]
    for overrides, said in (
        (lower, "normalizes"),
        (["text.source=none"], "another one for the source"),
        (["text.source.kind=words"], "'characters'"),
        (["text.target.vocab_size=6"], "tokens"),
    ):
        with pytest.raises(RecipeError, match=said):
            read_recipe(start / "recipe.toml", overrides, {"start_from": str(start)})


def test_what_it_learns_follows_from_the_model(tiny_runs: dict[str, Path], tmp_path: Path) -> None:
    data = write_text(tmp_path)
    with pytest.raises(UserError, match="of kind encoder, which learns masked, not causal"):
        go_on(data, tiny_runs["masked"], tmp_path / "run", objective="causal")
    outcome = go_on(data, tiny_runs["masked"], tmp_path / "run")
    assert load_bundle(outcome.folder.model).architecture == "encoder"
    with pytest.raises(UserError, match="goes on as it began"):
        train(outcome.folder.path, start_from=outcome.folder.model)
    with pytest.raises(FolderError, match="no such model folder"):
        go_on(data, tmp_path / "nowhere", tmp_path / "other")


def test_on_the_command_line(tiny_runs: dict[str, Path], tmp_path: Path) -> None:
    data = write_text(tmp_path)
    done = headway(
        "train", data, "--from", tiny_runs["causal"], "--out", tmp_path / "run", *QUICK, "stop.steps=1"
    )
    assert done.returncode == 0, done.stderr
    assert "starting from" in done.stderr
    assert "optimizer.rate = 0.0001" in done.stderr
    again = headway("train", tmp_path / "run" / "recipe.toml", "--out", tmp_path / "again")
    assert again.returncode == 0, again.stderr
    refused = headway("train", data, "--from", tiny_runs["causal"], "model.d_ff=7")
    assert refused.returncode == 2
    assert "model.d_ff = 7" in refused.stderr
