"""Everything that reads what others wrote: each a target that is given bytes, which start from valid ones."""

import gzip
import hashlib
import json
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import zstandard

from headway.bundle import Bundle, BundleInfo, load_bundle, save_bundle
from headway.data.corpus import DataConfig, read_records
from headway.data.input_files import InputFile, read_lines
from headway.errors import FolderError
from headway.interop.gguf import FILE as GGUF_FILE
from headway.interop.gguf import read_gguf, write_gguf
from headway.interop.huggingface import read_transformers, write_transformers
from headway.model.architectures import build
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.recipe import BUILT_IN, read_recipe
from headway.sealed_folder import MANIFEST
from headway.text.special import SpecialIds
from headway.text.tokenizer import Tokenizer, TokenizerConfig, Tokenizers, train_tokenizer
from headway.training.checkpoint import Checkpoints
from headway.training.optimizer import build_optimizer
from headway.training.settings import OptimizerConfig
from headway.training.state import Counters, TrainState
from tests.hostile_data import PreparedFolder, read_token_file, token_file_seeds

TEXT = ["the cat sat on a mat", "is it 1999, or 20?", "ünïcödé 🙂!"]
ALPHABET = 150
"""Tokens of the vocabularies of targets at most."""


@dataclass(frozen=True)
class Target:
    """A reader: `read` gives anything, or raises a UserError."""

    seeds: list[bytes]
    read: Callable[[bytes], object]


@dataclass(frozen=True)
class FolderTarget:
    """A reader of a folder: of an input the first byte says which file of it the rest replaces."""

    folder: Path
    names: list[str]
    open: Callable[[Path], object]
    sealed: bool = True
    """Whether it has a manifest, which is made to fit, as by one who knows how."""

    @property
    def target(self) -> Target:
        seeds = [
            bytes([number]) + (self.folder / name).read_bytes() for number, name in enumerate(self.names)
        ]
        return Target(seeds, self.read)

    def read(self, content: bytes) -> None:
        name = self.names[(content[0] if content else 0) % len(self.names)]
        path, manifest = self.folder / name, self.folder / MANIFEST
        kept = {each: each.read_bytes() for each in (path, manifest) if each.is_file()}
        try:
            path.write_bytes(content[1:])
            if self.sealed and name != MANIFEST:
                table = json.loads(kept[manifest])
                table["files"][name] = {
                    "size": len(content) - 1 if content else 0,
                    "sha256": hashlib.sha256(content[1:]).hexdigest(),
                }
                manifest.write_text(json.dumps(table), "utf-8")
            self.open(self.folder)
        finally:
            for each, before in kept.items():
                each.write_bytes(before)


def small_tokenizer(kind: str = "characters") -> Tokenizer:
    return train_tokenizer(TEXT, TokenizerConfig(kind=kind, vocab_size=300 if kind == "bpe" else ALPHABET))  # type: ignore[arg-type]


def small_bundle(tokenizer: Tokenizer, encoder: int, decoder: int, **fields: Any) -> Bundle:
    fields = {"attention": AttentionConfig(num_heads=2)} | fields
    config = TransformerConfig(
        vocab_size=tokenizer.vocab_size,
        encoder_layers=encoder,
        decoder_layers=decoder,
        d_model=8,
        d_ff=8,
        **fields,
    )
    tokenizers = Tokenizers(tokenizer if encoder and decoder else None, tokenizer)
    info = BundleInfo(longest_target=7, search={"beams": 3}, metrics={"wer": 0.25})
    torch.manual_seed(0)
    return Bundle(config, build(config).eval(), tokenizers, info)


def lines(folder: Path) -> Target:
    """Lines of files, plain and compressed."""
    packs: list[tuple[str, Callable[[bytes], bytes]]] = [
        ("", bytes),
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.ZstdCompressor().compress),
    ]
    text = ("\n".join(TEXT) * 3 + "\n" + "x" * 50).encode()

    def read(content: bytes) -> None:
        path = folder / f"lines{packs[(content[0] if content else 0) % len(packs)][0]}"
        path.write_bytes(content[1:])
        for line in read_lines(InputFile("lines", path), 40):
            assert len(line.text) <= 42

    return Target([bytes([number]) + pack(text) for number, (_, pack) in enumerate(packs)], read)


def records(folder: Path) -> Target:
    """Examples in every layout."""
    pairs = "\n".join(f"{line}\t{line[::-1]}" for line in TEXT)
    objects = "\n".join(json.dumps({"text": line, "more": [1, {"deep": None}]}) for line in TEXT)
    sides = "\n".join(json.dumps({"source": line, "target": line}, ensure_ascii=False) for line in TEXT)
    ways: list[tuple[str, bool, str]] = [
        ("auto", True, pairs),
        ("auto", False, "\n\n".join(TEXT)),
        ("jsonl", False, objects),
        ("jsonl", True, sides),
        ("auto", False, objects),
        ("documents", False, "\n\n".join(TEXT)),
        ("file", False, "\n".join(TEXT)),
        ("lines", False, "\r\n".join(TEXT)),
        ("parallel", True, "\n".join(TEXT)),
    ]

    def read(content: bytes) -> None:
        first = content[0] if content else 0
        layout, has_pairs, _ = ways[first % len(ways)]
        path = folder / "data.txt"
        path.write_bytes(content[1:])
        files = [str(path)] * (2 if layout == "parallel" else 1)
        config = DataConfig(
            train=tuple(files), layout=layout, bad_lines="skip" if first // len(ways) % 2 else "stop"
        )  # type: ignore[arg-type]
        for record in read_records(config, files, has_pairs):
            (record.target + (record.source or "")).encode("utf-8")

    seeds = [bytes([number]) + way[2].encode() for number, way in enumerate([*ways, *ways])]
    return Target(seeds, read)


def recipe(folder: Path) -> Target:
    """Recipes as TOML."""

    def read(content: bytes) -> None:
        path = folder / "recipe.toml"
        path.write_bytes(content)
        read_recipe(path, changes={"data": {"train": ["text.txt"]}})

    own = sorted((Path(str(BUILT_IN))).glob("*.toml"))
    return Target([path.read_bytes() for path in own], read)


def overrides(folder: Path) -> Target:
    """Overrides as typed, one a line; none opens a model."""

    def read(content: bytes) -> None:
        typed = content.decode("utf-8", "surrogateescape").split("\n")
        read_recipe(
            "causal", [each for each in typed if "start_from" not in each], {"data": {"train": ["text.txt"]}}
        )

    return Target(
        [b"model.d_model=64\nstop.steps=10", b"model.attention.window=none\ndata.columns=[1, 2]"], read
    )


def tokenizer(folder: Path) -> Target:
    """Tokenizers, ours and foreign, and what they make of text."""

    def read(content: bytes) -> None:
        special = None if not content or content[0] % 2 else SpecialIds(pad=3, unknown=None, mask=4)
        found = Tokenizer.from_json(content[1:].decode("utf-8", "replace"), special)
        if found.vocab_size > 400:  # as whoever opens a model sees
            raise FolderError("is larger than the model")
        found.fingerprint  # noqa: B018
        for text in (*TEXT, "", "<s> ___ a"):
            ids = found.encode(text)
            assert not ids or max(ids) < found.vocab_size
            found.decode(ids)
            found.pieces(ids)
            found.word_starts(ids)
            found.encode_blanks(text)
            found.unknown_in(text)

    kinds = ("bpe", "wordpiece", "words", "characters", "symbols")
    seeds = [bytes([1]) + small_tokenizer(kind).to_json().encode() for kind in kinds]
    return Target([*seeds, *(bytes([0]) + seed[1:] for seed in seeds)], read)


def model_folder(folder: Path) -> Target:
    """Every file of a model folder, with a manifest that fits."""
    place = folder / "model"
    save_bundle(small_bundle(small_tokenizer(), 1, 1), place, "# Card\n")
    names = ["config.json", "model.safetensors", "tokenizer.json", MANIFEST]
    return FolderTarget(place, names, load_bundle).target


def small_state() -> TrainState:
    model = small_bundle(small_tokenizer(), 0, 1).model
    return TrainState(model, build_optimizer(model, OptimizerConfig(), 0.01), Counters(step=2))


def small_checkpoint(folder: Path) -> Path:
    """A checkpoint of the second step of a run whose checkpoints lie in the folder."""
    state = small_state()
    for parameter in state.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    state.optimizer.step()
    checkpoints = Checkpoints(folder, 2, lambda _: None)
    checkpoints.save(state)
    return checkpoints.path(2)


def open_checkpoint(place: Path) -> None:
    Checkpoints(place.parent, 2, lambda _: None).restore(small_state(), 2)


def checkpoint(folder: Path) -> Target:
    """Every file of a checkpoint, with a manifest that fits."""
    names = ["state.json", "model.safetensors", "optimizer.safetensors", MANIFEST]
    return FolderTarget(small_checkpoint(folder), names, open_checkpoint).target


LLAMA: dict[str, Any] = {
    "activation": "swiglu",
    "bias": False,
    "norm": NormConfig(kind="rms", position="pre"),
    "positions": PositionConfig(kind="rotary"),
}
THEIRS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "marian": (1, 1, {}),
    "bert": (
        1,
        0,
        {
            "activation": "gelu",
            "output_transform": True,
            "output_bias": True,
            "positions": PositionConfig(kind="learned", max_length=16),
            "norm": NormConfig(embedding=True),
            "scale_embeddings": False,
        },
    ),
    "llama": (0, 1, LLAMA),
}


def transformers(folder: Path, family: str = "llama") -> Target:
    """Every file of a folder of transformers."""
    place = folder / family
    place.mkdir()
    encoder, decoder, fields = THEIRS[family]
    write_transformers(small_bundle(small_tokenizer(), encoder, decoder, **fields), place)
    index = {"weight_map": {"model.embed_tokens.weight": "model.safetensors"}}
    (place / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    names = sorted(path.name for path in place.iterdir() if path.suffix in (".json", ".safetensors"))
    return FolderTarget(place, names, read_transformers, sealed=False).target


def gguf(folder: Path) -> Target:
    """A GGUF file."""
    bundle = small_bundle(small_tokenizer("bpe"), 0, 1, **LLAMA)
    write_gguf(replace(bundle, meta=BundleInfo(longest_target=8)), folder)

    def read(content: bytes) -> None:
        path = folder / "damaged.gguf"
        path.write_bytes(content)
        read_gguf(path)

    return Target([(folder / GGUF_FILE).read_bytes()], read)


def token_file(folder: Path) -> Target:
    """A token file, and the first batches of what it holds."""
    return Target(
        token_file_seeds(folder), lambda content: read_token_file(folder / "damaged.tokens", content)
    )


def prepared_text(folder: Path) -> Target:
    """Every file of a folder of encoded text, done or half done."""
    prepared = PreparedFolder(folder)
    return Target(prepared.seeds(), prepared.read)


TARGETS: dict[str, Callable[[Path], Target]] = {
    "lines": lines,
    "records": records,
    "recipe": recipe,
    "overrides": overrides,
    "tokenizer": tokenizer,
    "model-folder": model_folder,
    "checkpoint": checkpoint,
    "marian": lambda folder: transformers(folder, "marian"),
    "bert": lambda folder: transformers(folder, "bert"),
    "llama": transformers,
    "gguf": gguf,
    "token-file": token_file,
    "prepared": prepared_text,
}

# fmt: off
WORDS: Sequence[bytes] = tuple(word.encode() for word in (
    "NaN", "Infinity", "-1", "0", "null", "true", "1e999", "9" * 30, "[[[[[[[[", "{}", "[]", "\\ud800",
    "''''", '""', '"""', "=", "\n[", "]]", "../", "/dev/zero", "F32", "BF16", "F4", "I64", "dtype", "shape",
    "data_offsets", "__metadata__", "vocab", "merges", "added_tokens", "type", "Sequence", "Replace", "Regex",
    "model_type", "hidden_size", "num_attention_heads", "vocab_size", "files", "format_version", "size",
    "sha256", "model.", "attention.", "none", "0x", "1979-05-27", "\ufeff", "\x00", "\xff\xff\xff\xff",
))
# fmt: on
"""What a mutation may put in."""
