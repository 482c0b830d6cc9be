"""The model folder: a trained model with its tokenizers, checked when opened, never unpickled."""

import copy
import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model

from headway.config import from_table
from headway.errors import FolderError
from headway.model.architectures import CausalLM, EncoderDecoder, MaskedLM, build
from headway.model.config import Architecture, TransformerConfig
from headway.sealed_folder import (
    MANIFEST,
    Manifest,
    check_file,
    check_tensors,
    naming,
    read_json,
    read_manifest,
    sealing,
)
from headway.text.special import SpecialIds
from headway.text.tokenizer import Tokenizer, Tokenizers

FORMAT = "headway-model"
FORMAT_VERSION = 1

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
TOKENIZER, SOURCE_TOKENIZER = "tokenizer.json", "source_tokenizer.json"
REQUIRED = {CONFIG, WEIGHTS, TOKENIZER}
LARGEST_CONFIG, LARGEST_TOKENIZER = 2**20, 2**28
"""More bytes than any real file of that kind has: what is larger is not read at all."""

Model = EncoderDecoder | MaskedLM | CausalLM


@dataclass(frozen=True, kw_only=True)
class BundleInfo:
    """What those who use a model need to know beside its shape; lengths in tokens, 0 = not known."""

    longest_source: int = 0
    longest_target: int = 0
    """The longest text it was trained on; a longer one is split."""
    commonest_target: str = ""
    """Of pairs: the output that training text has most often, which a model must beat."""
    commonest_token: int = -1
    """Of masked models: the token that training text has most often."""
    embeds_frame: bool = False
    """Whether a text's vector is the mean over the special tokens around it, too."""
    embeds_unit: bool = False
    """Whether a text's vector is scaled to length 1."""
    search: dict[str, bool | int | float | str] = field(default_factory=dict)
    """Settings of decoding that are the default for this model."""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A model and all that is needed to use it."""

    config: TransformerConfig
    model: Model
    tokenizers: Tokenizers
    meta: BundleInfo

    def __repr__(self) -> str:
        source, target = self.tokenizers
        count = sum(parameter.numel() for parameter in self.model.parameters())
        read = "" if source is None or source is target else f"{source!r} → "
        return f"Bundle({self.architecture}, {count:,} parameters, {read}{target!r})"

    @property
    def architecture(self) -> Architecture:
        return self.config.architecture


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    model: TransformerConfig
    info: BundleInfo
    special: SpecialIds | None = None
    """Of the target's vocabulary, or the only one; None = those of every vocabulary learned here."""
    source_special: SpecialIds | None = None
    """Of the source's, where it has one of its own."""


def config_file(bundle: Bundle) -> ConfigFile:
    """What config.json says of a model."""
    source, target = bundle.tokenizers
    own = None if source is None or source is target else source.foreign_special
    return ConfigFile(
        model=bundle.config, info=bundle.meta, special=target.foreign_special, source_special=own
    )


def save_bundle(bundle: Bundle, folder: Path | str, card: str) -> None:
    """Writes the model folder beside its place and renames it there: no half-written one is ever seen.

    An older model folder in that place is replaced; files in it that are not ours are kept. Raises
    FolderError if something else is there.
    """
    folder = Path(folder).resolve()
    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        if not (folder / MANIFEST).is_file():
            raise FolderError(f"{folder}: exists and is no model folder; choose another place or remove it")
        read_manifest(folder, FORMAT, FORMAT_VERSION)
    source, target = bundle.tokenizers
    with sealing(folder, FORMAT, FORMAT_VERSION, unlisted=(CARD,)) as beside:
        save_model(row_by_row(bundle.model), str(beside / WEIGHTS))  # tied weights once
        _write(beside / CONFIG, json.dumps(dataclasses.asdict(config_file(bundle)), indent=2) + "\n")
        _write(beside / TOKENIZER, target.to_json())
        if source is not None and source is not target:
            _write(beside / SOURCE_TOKENIZER, source.to_json())
        _write(beside / CARD, card)


def row_by_row(model: Model) -> Model:
    """The model with its weights in memory as files have them: itself, or a copy where they lie otherwise."""
    if all(parameter.is_contiguous() for parameter in model.parameters()):
        return model
    again = copy.deepcopy(model)
    for parameter in again.parameters():
        parameter.data = parameter.data.contiguous()
    return again


def load_bundle(folder: Path | str, device: torch.device | str = "cpu") -> Bundle:
    """The model in the folder, ready to predict (in evaluation mode).

    Raises FolderError, naming the file and what was expected, if it is damaged, foreign or of a newer format.
    """
    folder = Path(folder)
    content, tokenizers = open_model_folder(folder)
    return Bundle(
        content.model, _read_model(folder / WEIGHTS, content.model, device), tokenizers, content.info
    )


def open_model_folder(folder: Path) -> tuple[ConfigFile, Tokenizers]:
    """All of a model folder but its weights, whose file is checked. Raises FolderError as `load_bundle`."""
    manifest = _read_manifest(folder)
    for name, facts in manifest.files.items():
        check_file(folder / name, facts)
    path = folder / CONFIG
    with naming(path):
        content = from_table(ConfigFile, read_json(path, LARGEST_CONFIG), finite=False)
    return content, _read_tokenizers(folder, manifest, content)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")


def _read_manifest(folder: Path) -> Manifest:
    if not folder.is_dir():
        raise FolderError(f"{folder}: there is no such model folder")
    path = folder / MANIFEST
    if not path.exists():
        inside = [child.parent for child in sorted(folder.glob(f"*/{MANIFEST}")) if _is_model(child.parent)]
        hint = f"did you mean {inside[0]}?" if inside else "expected a folder that Headway saved"
        raise FolderError(f"{folder}: is no model folder, since {MANIFEST} is missing; {hint}")
    manifest = read_manifest(folder, FORMAT, FORMAT_VERSION)
    for name in sorted(manifest.files.keys() - REQUIRED - {SOURCE_TOKENIZER}):
        raise FolderError(f"{path}: lists {name!r}, which is no file of a model folder")
    for name in sorted(REQUIRED - manifest.files.keys()):
        raise FolderError(f"{path}: does not list {name}, which every model folder has")
    return manifest


def _is_model(folder: Path) -> bool:
    """Whether a folder says that it holds a model."""
    try:
        read_manifest(folder, FORMAT, FORMAT_VERSION)
    except FolderError:
        return False
    return True


def _read_tokenizers(folder: Path, manifest: Manifest, content: ConfigFile) -> Tokenizers:
    config = content.model
    target = _read_tokenizer(folder / TOKENIZER, config.vocab_size, content.special)
    if config.architecture != "encoder-decoder":
        return Tokenizers(None, target)
    if target.special.begin is None:
        raise FolderError(f"{folder / CONFIG}: special.begin: an encoder-decoder's output needs a beginning")
    if (SOURCE_TOKENIZER in manifest.files) != (config.source_vocab_size is not None):
        raise FolderError(
            f"{folder / MANIFEST}: {SOURCE_TOKENIZER} is listed if and only if {CONFIG} has a "
            f"source_vocab_size; it is {config.source_vocab_size}"
        )
    if config.source_vocab_size is None:
        return Tokenizers(target, target)
    path = folder / SOURCE_TOKENIZER
    return Tokenizers(_read_tokenizer(path, config.source_vocab_size, content.source_special), target)


def _read_tokenizer(path: Path, vocab_size: int, special: SpecialIds | None) -> Tokenizer:
    if path.stat().st_size > LARGEST_TOKENIZER:
        raise FolderError(f"{path}: expected at most {LARGEST_TOKENIZER:,} bytes")
    with naming(path):
        tokenizer = Tokenizer.from_json(path.read_text("utf-8"), special)
    if tokenizer.vocab_size > vocab_size:
        raise FolderError(
            f"{path}: has {tokenizer.vocab_size} tokens where {CONFIG} expects at most {vocab_size}"
        )
    return tokenizer


def _read_model(path: Path, config: TransformerConfig, device: torch.device | str) -> Model:
    check_tensors(path)
    with naming(path, SafetensorError):
        with safe_open(path, framework="pt") as file:
            tensors = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118  (no mapping)
        held = sum(torch.Size(shape).numel() for shape in tensors)
        if held < config.fewest_parameters:  # before anything of that size is made
            raise FolderError(f"holds {held:,} numbers, fewer than {CONFIG} asks for")
        model = build(config).to(device)
        try:
            load_model(model, path, device=str(device))
        except RuntimeError as error:
            raise FolderError(f"does not fit {CONFIG}: {error}") from error
    return model.eval()
