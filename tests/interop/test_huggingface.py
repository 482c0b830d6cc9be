"""Folders of transformers, written and read: the same model and tokenizer; what is wrong is named."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from headway.bundle import Bundle
from headway.errors import FolderError, UserError
from headway.interop.huggingface import read_transformers, write_transformers
from headway.interop.weights import weights_of
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from tests.interop.random_models import bundle_of

SIZES: dict[str, Any] = {
    "vocab_size": 1,
    "d_model": 16,
    "d_ff": 24,
    "attention": AttentionConfig(num_heads=2),
}
MARIAN = TransformerConfig(**SIZES, encoder_layers=1, decoder_layers=1)
TWO_VOCABULARIES = replace(MARIAN, source_vocab_size=1)
LLAMA = TransformerConfig(
    **SIZES,
    encoder_layers=0,
    decoder_layers=1,
    activation="swiglu",
    bias=False,
    norm=NormConfig(kind="rms", position="pre"),
    positions=PositionConfig(kind="rotary"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export that a test may damage."""
    write_transformers(bundle_of(MARIAN), tmp_path)
    return tmp_path


def equal(bundle: Bundle, other: Bundle) -> bool:
    ours, theirs = weights_of(bundle.model), weights_of(other.model)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("config", [MARIAN, TWO_VOCABULARIES], ids=["joint", "two vocabularies"])
def test_what_is_written_is_read_as_the_same(config: TransformerConfig, tmp_path: Path) -> None:
    bundle = bundle_of(config)
    assert write_transformers(bundle, tmp_path).name == "marian"
    back = read_transformers(tmp_path)
    assert equal(bundle, back)
    assert back.config == replace(bundle.config, dropout=0.1)
    for ours, theirs in zip(bundle.tokenizers, back.tokenizers, strict=True):
        assert ours is not None and theirs is not None
        assert ours.fingerprint == theirs.fingerprint
    assert (back.tokenizers.source is back.tokenizers.target) == (config.source_vocab_size is None)


def test_a_model_that_no_class_holds_is_refused(tmp_path: Path) -> None:
    bundle = bundle_of(replace(MARIAN, positions=PositionConfig(kind="rotary")))
    with pytest.raises(UserError, match="MarianMTModel comes nearest, but its positions are sinusoidal"):
        write_transformers(bundle, tmp_path)
    assert not list(tmp_path.iterdir())


def test_search_settings_are_as_near_to_ours_as_they_come(folder: Path) -> None:
    settings = json.loads((folder / "generation_config.json").read_text("utf-8"))
    bundle = bundle_of(MARIAN)
    unused = range(bundle.tokenizers.target.vocab_size, bundle.config.vocab_size)
    assert settings["suppress_tokens"] == [0, 1, 2, 4, *unused]
    assert settings["length_penalty"] == 0 and not settings["do_sample"]
    assert settings["decoder_start_token_id"] == 2


def test_several_weight_files_are_read_as_one(folder: Path) -> None:
    expected = read_transformers(folder)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: weights[name] for name in held}, folder / file)
    index = {"weight_map": {name: file for file, held in parts.items() for name in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    assert equal(read_transformers(folder), expected)
    (folder / "b.safetensors").unlink()
    with pytest.raises(FolderError, match=r"b\.safetensors: is missing"):
        read_transformers(folder)
    index["weight_map"][names[0]] = "../a.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(FolderError, match="weight_map must name a file beside it"):
        read_transformers(folder)


def change_config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")

    return change


def change_weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors")

    return changed


def replace_by_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def write(name: str, content: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(content, "utf-8")


FC1 = "model.encoder.layers.0.fc1.weight"
TOKENIZER = {"model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}, "added_tokens": []}
FILES = ("normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation", "padding")
ENDLESS = json.dumps(TOKENIZER | dict.fromkeys(FILES) | {"version": "1.0"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change_weights(lambda w: w.pop(FC1)), f"the tensor '{FC1}' is missing"),
        (change_weights(lambda w: w.update(more=torch.ones(1))), "the tensor 'more' is left over"),
        (
            change_weights(lambda w: w.update({FC1: torch.ones(3, 2)})),
            rf"'{FC1}' has the shape \[3, 2\] where the configuration asks for \[24, 16\]",
        ),
        (change_config(d_ff=3), "config.json: d_ff = 3 is not known for this family"),
        (change_config(encoder_ffn_dim=25, decoder_ffn_dim=25), r"fc1\.\w+' has the shape .*24"),
        (change_config(model_type="albert"), "config.json: the model_type .*albert"),
        (change_config(model_type="marion"), "'marion' is not known here: did you mean 'marian'"),
        (change_config(model_type="bart"), "config.json: .*"),
        (change_config(activation_function="mish"), "the activation 'mish' is not known here"),
        (change_config(d_model=0), "must be at least 1"),
        (change_config(vocab_size=9, decoder_vocab_size=9), r"tokenizer\.json: has \d+ tokens where"),
        (replace_by_pickle, r"pytorch_model\.bin: a pickle can run anything"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"model\.safetensors: is missing"),
        (write("model.safetensors", "no tensors"), r"model\.safetensors: "),
        (write("config.json", "{"), r"config\.json: "),
        (lambda folder: (folder / "config.json").unlink(), "expected a folder of `transformers`"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"tokenizer\.json: is missing"),
        (write("tokenizer.json", "{}"), r"tokenizer\.json: not a tokenizer"),
        (write("tokenizer.json", ENDLESS), r"tokenizer\.json: "),
    ],
)
def test_what_is_wrong_is_named(damage: Callable[[Path], Any], message: str, folder: Path) -> None:
    damage(folder)
    with pytest.raises((FolderError, UserError), match=message):
        read_transformers(folder)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="there is no such folder"):
        read_transformers(tmp_path / "nowhere")


def test_a_bias_that_is_zero_throughout_is_left_out(tmp_path: Path) -> None:
    biased = bundle_of(replace(MARIAN, output_bias=True))
    write_transformers(biased, tmp_path)
    assert read_transformers(tmp_path).config.output_bias
    with torch.no_grad():
        biased.model.output.bias.zero_()
    write_transformers(biased, tmp_path)
    assert not read_transformers(tmp_path).config.output_bias
