"""The model folder: saving and loading is the identity, and nothing but a sound folder is opened."""

import dataclasses
import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway.batch import Tokens
from headway.bundle import Bundle, BundleInfo, load_bundle, save_bundle
from headway.errors import FolderError
from headway.model.architectures import build
from headway.model.config import AttentionConfig, PositionConfig, TransformerConfig
from headway.model_card import model_card
from headway.text.tokenizer import Tokenizer, TokenizerConfig, Tokenizers, train_tokenizer
from tests.text.foreign import bert, gpt2

TEXT = ["to be or not to be", "that is the question"]
FILES = {"config.json", "model.safetensors", "tokenizer.json", "manifest.json", "README.md"}


def tokenizer(lines: list[str] = TEXT) -> Tokenizer:
    return train_tokenizer(lines, TokenizerConfig(kind="characters", vocab_size=40))


def make_bundle(encoder: int = 1, decoder: int = 1, separate: bool = False, **fields: Any) -> Bundle:
    target = tokenizer()
    source = tokenizer(["2 + 2 = 4"]) if separate else target
    tokenizers = Tokenizers(source if encoder and decoder else None, target)
    config = TransformerConfig(
        vocab_size=target.vocab_size,
        source_vocab_size=source.vocab_size if separate else None,
        encoder_layers=encoder,
        decoder_layers=decoder,
        d_model=8,
        d_ff=16,
        attention=AttentionConfig(num_heads=2, d_value=3),
        **fields,
    )
    meta = BundleInfo(longest_source=5, longest_target=7, search={"beams": 3, "length_penalty": 0.5})
    return Bundle(config, build(config), tokenizers, dataclasses.replace(meta, metrics={"wer": 0.25}))


def logits(bundle: Bundle) -> Tensor:
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    source = Tokens(ids[:, 1:]) if bundle.architecture == "encoder-decoder" else None
    model = bundle.model.eval()
    return model.logits(model(Tokens(ids), source))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_bundle(make_bundle(), tmp_path / "model", "# Card")
    return tmp_path / "model"


@pytest.mark.parametrize(
    "bundle",
    [
        pytest.param(lambda: make_bundle(), id="joint"),
        pytest.param(lambda: make_bundle(separate=True), id="separate"),
        pytest.param(lambda: make_bundle(tie_output=False, share_embeddings=False), id="untied"),
        pytest.param(lambda: make_bundle(0, 2, positions=PositionConfig(kind="learned")), id="causal"),
        pytest.param(lambda: make_bundle(2, 0, positions=PositionConfig(kind="rotary")), id="masked"),
    ],
)
def test_saving_and_loading_is_the_identity(bundle: Callable[[], Bundle], tmp_path: Path) -> None:
    before = bundle()
    save_bundle(before, tmp_path / "model", "# Card")
    torch.manual_seed(99)  # fresh weights would differ
    after = load_bundle(tmp_path / "model")
    assert torch.equal(logits(before), logits(after))
    assert (after.config, after.meta) == (before.config, before.meta)
    assert not after.model.training
    assert {t.shape for t in before.model.parameters()} == {t.shape for t in after.model.parameters()}
    assert len(list(before.model.parameters())) == len(list(after.model.parameters())), "ties are kept"
    for old, new in zip(before.tokenizers, after.tokenizers, strict=True):
        assert (old and old.fingerprint) == (new and new.fingerprint)
    joint = before.tokenizers.source is before.tokenizers.target
    assert (after.tokenizers.source is after.tokenizers.target) == joint


@pytest.mark.parametrize("make", [gpt2, bert])
def test_a_foreign_vocabulary_keeps_its_special_ids(make: Callable[[], Tokenizer], tmp_path: Path) -> None:
    tokenizer = make()
    shape = {"encoder_layers": 1, "decoder_layers": 0} if make is bert else {"encoder_layers": 0}
    config = TransformerConfig(vocab_size=tokenizer.vocab_size, d_model=8, d_ff=8, **shape)
    bundle = Bundle(config, build(config), Tokenizers(None, tokenizer), BundleInfo())
    save_bundle(bundle, tmp_path / "model", "")
    loaded = load_bundle(tmp_path / "model").tokenizers.target
    assert (loaded.kind, loaded.special) == ("foreign", tokenizer.special)
    assert loaded.fingerprint == tokenizer.fingerprint


def test_special_ids_that_do_not_fit_are_refused(saved: Path) -> None:
    special = {"pad": 0, "unknown": 1, "begin": None, "end": 3, "mask": None, "source_begin": None}
    table = json.loads((saved / "config.json").read_text())
    for change, said in (
        (special, "special.begin"),
        (special | {"begin": 2, "end": 10**9}, "tokenizer.json: has 1000000001 tokens"),
        (special | {"begin": -1}, "0 or more"),
        (special | {"start": 2}, "unknown key 'special.start'"),
        ({"pad": "<pad>"}, "an integer"),
    ):
        put(saved, "config.json", json.dumps(table | {"special": change}).encode())
        assert said in refusal(saved)
    for name in ("special", "source_special"):
        assert table.pop(name) is None
    put(saved, "config.json", json.dumps(table).encode())
    assert load_bundle(saved).tokenizers.target.kind == "characters", "as folders were written before"


def test_the_folder_holds_what_it_should(tmp_path: Path) -> None:
    save_bundle(make_bundle(), tmp_path / "joint", "# Card\n")
    assert {path.name for path in (tmp_path / "joint").iterdir()} == FILES
    save_bundle(make_bundle(separate=True), tmp_path / "separate", "")
    assert {path.name for path in (tmp_path / "separate").iterdir()} == FILES | {"source_tokenizer.json"}
    assert (tmp_path / "joint" / "README.md").read_text() == "# Card\n"
    assert {path.name for path in tmp_path.iterdir()} == {"joint", "separate"}, "nothing is left beside"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "joint").iterdir()}
    assert len(modes) == 1, "who may read one file may read all"


def test_tied_weights_are_saved_once(tmp_path: Path) -> None:
    bundle = make_bundle()
    save_bundle(bundle, tmp_path / "model", "")
    held = load_file(tmp_path / "model" / "model.safetensors")
    assert sum(t.numel() for t in held.values()) == sum(p.numel() for p in bundle.model.parameters())
    assert len(held) < len(bundle.model.state_dict())


def test_the_card_may_be_edited_and_other_files_may_lie_beside(saved: Path) -> None:
    (saved / "README.md").write_text("# My own words")
    (saved / "notes.txt").write_text("mine")
    load_bundle(saved)
    (saved / "README.md").unlink()
    load_bundle(saved)


def test_saving_again_replaces_the_model_and_keeps_foreign_files(saved: Path) -> None:
    (saved / "notes.txt").write_text("mine")
    newer = make_bundle(0, 1)
    save_bundle(newer, saved, "# Newer")
    assert torch.equal(logits(load_bundle(saved)), logits(newer))
    assert (saved / "notes.txt").read_text() == "mine"
    assert (saved / "README.md").read_text() == "# Newer"
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_saving_fails_whole(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headway.sealed_folder.os.fsync", full_disk)
    for place in (saved, saved.parent / "other"):
        with pytest.raises(OSError, match="No space"):
            save_bundle(make_bundle(0, 1), place, "")
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    assert load_bundle(saved).architecture == "encoder-decoder"


def test_saving_never_replaces_what_is_no_model_folder(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "manifest.json").write_text('{"name": "An app"}')
    for name in ("thesis", "file"):
        with pytest.raises(FolderError, match=f"{name}: exists and is no model folder"):
            save_bundle(make_bundle(), tmp_path / name, "")
    with pytest.raises(FolderError, match="another program wrote this folder"):
        save_bundle(make_bundle(), tmp_path / "app", "")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
    save_bundle(make_bundle(), tmp_path / "empty", "")
    load_bundle(tmp_path / "empty")


def refusal(folder: Path) -> str:
    with pytest.raises(FolderError) as caught:
        load_bundle(folder)
    assert str(folder) in str(caught.value)
    assert len(str(caught.value)) < 3000
    return str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_every_damage_is_seen_and_named(saved: Path, name: str) -> None:
    sound = (saved / name).read_bytes()
    flipped = bytearray(sound)
    flipped[len(sound) // 2] ^= 1
    (saved / name).write_bytes(flipped)
    assert f"{name}: its SHA-256" in refusal(saved)
    (saved / name).write_bytes(sound[:-1])
    assert f"{name}: has {len(sound) - 1:,} bytes where {len(sound):,} are expected" in refusal(saved)
    (saved / name).unlink()
    assert f"{name}: is missing" in refusal(saved)
    (saved / name).mkdir()
    assert f"{name}: is missing" in refusal(saved)


def test_foreign_folders_are_told_apart(tmp_path: Path) -> None:
    assert "no such model folder" in refusal(tmp_path / "absent")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert "manifest.json is missing" in refusal(tmp_path)
    save_bundle(make_bundle(), tmp_path / "model", "")
    assert f"did you mean {tmp_path / 'model'}?" in refusal(tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "An app", "icons": []}')
    assert "another program wrote this folder" in refusal(tmp_path)


def test_only_a_model_folder_is_suggested(saved: Path) -> None:
    (saved.parent / "a-checkpoint").mkdir()
    manifest = {"format": "headway-checkpoint", "format_version": 1, "files": {}}
    (saved.parent / "a-checkpoint" / "manifest.json").write_text(json.dumps(manifest))
    assert f"did you mean {saved}?" in refusal(saved.parent)
    change_manifest(saved, lambda table: table.update(format="other"))
    assert "did you mean" not in refusal(saved.parent)


@pytest.mark.parametrize("figure", [float("inf"), float("nan")])
def test_a_figure_need_not_be_finite(figure: float, tmp_path: Path) -> None:
    bundle = dataclasses.replace(make_bundle(), meta=BundleInfo(metrics={"perplexity": figure}))
    save_bundle(bundle, tmp_path / "model", "card")
    assert str(load_bundle(tmp_path / "model").meta.metrics["perplexity"]) == str(figure)


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    table = json.loads((folder / "manifest.json").read_text())
    change(table)
    (folder / "manifest.json").write_text(json.dumps(table))


def test_a_newer_folder_asks_for_an_upgrade(saved: Path) -> None:
    change_manifest(saved, lambda table: table.update(format_version=2, something="new"))
    assert "has format 2, and this Headway reads up to 1: upgrade" in refusal(saved)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.update(format_version="1"), "an integer"),
        (lambda t: t.update(files=[]), "a table"),
        (lambda t: t["files"].update({"../../etc/passwd": t["files"]["config.json"]}), "'../../etc/passwd'"),
        (lambda t: t["files"].update({"/etc/passwd": t["files"]["config.json"]}), "'/etc/passwd'"),
        (lambda t: t["files"].update({"train.py": t["files"]["config.json"]}), "'train.py'"),
        (lambda t: t["files"].pop("model.safetensors"), "does not list model.safetensors"),
        (lambda t: t["files"]["config.json"].update(size=10**30), "config.json"),
        (lambda t: t["files"]["config.json"].update(size=-1), "config.json"),
        (lambda t: t["files"]["config.json"].update(sha256=5), "a string"),
        (lambda t: t.update(extra=1), "unknown key 'extra'"),
    ],
)
def test_a_manifest_says_what_it_should(
    saved: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    change_manifest(saved, change)
    assert said in refusal(saved)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "manifest.json: "),
        (b"[1]", "expected a JSON object"),
        (b"\xff\xfe", "manifest.json: "),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"a": ' * 10_000, "nested too deeply"),
        (b'{"format_version": ' + b"9" * 60_000 + b"}", "manifest.json: "),
        (b" " * 100_000, "at most 65,536 bytes"),
    ],
)
def test_a_manifest_that_is_no_json_is_named(saved: Path, content: bytes, said: str) -> None:
    (saved / "manifest.json").write_bytes(content)
    assert said in refusal(saved)


def put(folder: Path, name: str, content: bytes) -> None:
    """A file as one might be who knows how to write a manifest."""
    (folder / name).write_bytes(content)
    facts = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    change_manifest(folder, lambda table: table["files"].update({name: facts}))


def put_config(folder: Path, **changes: Any) -> None:
    table = json.loads((folder / "config.json").read_text())
    table["model"] |= changes
    put(folder, "config.json", json.dumps(table).encode())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"d_modl": 8}, "config.json: unknown key 'model.d_modl': did you mean 'd_model'?"),
        ({"d_model": "8"}, 'config.json: model.d_model = "8": an integer'),
        ({"d_model": 7}, "config.json: "),
        ({"d_model": 16}, "model.safetensors: holds"),
        ({"d_ff": 15}, "model.safetensors: does not fit config.json"),
        ({"d_ff": 10**8}, "model.safetensors: holds"),
        ({"vocab_size": 10**8}, "model.safetensors: holds"),
        ({"encoder_layers": 10**8}, "model.safetensors: holds"),
        ({"positions": {"kind": "learned", "max_length": 10**8}}, "model.safetensors: holds"),
        ({"d_ff": 10**15}, "config.json: model: with d_model"),
        ({"vocab_size": 5}, "tokenizer.json: has"),
        ({"source_vocab_size": 10}, "source_tokenizer.json is listed if and only if"),
    ],
)
def test_a_config_that_does_not_fit_is_named(saved: Path, changes: dict[str, Any], said: str) -> None:
    put_config(saved, **changes)
    assert said in refusal(saved)


def test_files_that_are_sound_but_wrong_are_named(saved: Path) -> None:
    weights = (saved / "model.safetensors").read_bytes()
    for content in (b"", b"\x80\x04.", b"\xff" * 100, weights[:8] + b"[" * (len(weights) - 8)):
        put(saved, "model.safetensors", content)
        assert "model.safetensors: " in refusal(saved)
    held = load_file_from(weights, saved)
    extra = held | {"decoder.extra": torch.zeros(3)}
    save_file(extra, saved / "model.safetensors")
    put(saved, "model.safetensors", (saved / "model.safetensors").read_bytes())
    assert "decoder.extra" in refusal(saved)
    put(saved, "model.safetensors", weights)
    load_bundle(saved)
    for content in (b"{}", b"\xff", b"[" * 100_000, b'{"version": "1.0"}'):
        put(saved, "tokenizer.json", content)
        assert "tokenizer.json: " in refusal(saved)


def load_file_from(content: bytes, folder: Path) -> dict[str, Tensor]:
    (folder / "copy.safetensors").write_bytes(content)
    return {name: tensor.clone() for name, tensor in load_file(folder / "copy.safetensors").items()}


def test_the_card_says_what_a_user_should_know() -> None:
    bundle = make_bundle(separate=True)
    card = model_card(bundle, title="Sums", data=["sums.tsv: 100 pairs"], recipe="[model]\nd_model = 8\n")
    parameters = sum(p.numel() for p in bundle.model.parameters())
    for part in (
        "# Sums",
        "encoder-decoder",
        f"{parameters:,}",
        "sums.tsv: 100 pairs",
        "| wer | 0.25 |",
        "d_model = 8",
    ):
        assert part in card
    assert "5 tokens" in card
    assert "7 tokens" in card
    bare = Bundle(bundle.config, bundle.model, bundle.tokenizers, BundleInfo())
    assert "None were measured" in model_card(bare, title="Sums", data=[], recipe="")
