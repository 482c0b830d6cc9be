"""Files of other programs that ask for more than they hold: refused before anything is made."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from headway.errors import FolderError
from headway.interop.gguf import read_gguf
from headway.interop.huggingface import read_transformers, write_transformers
from tests.hostile import LLAMA, small_bundle, small_tokenizer
from tests.interop.gguf_models import written


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_transformers(small_bundle(small_tokenizer(), 0, 1, **LLAMA), tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_hidden_layers": 10**9}, "fewer than the configuration asks for|at most 100,000,000,000"),
        ({"intermediate_size": 10**9}, "fewer than the configuration asks for"),
        ({"vocab_size": 10**8}, "fewer than the configuration asks for"),
        ({"num_attention_heads": 0}, "num_attention_heads = 0: must be at least 1"),
        ({"hidden_size": -8}, "hidden_size = -8: must be at least 1"),
        ({"rms_norm_eps": 10**400}, "rms_norm_eps"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps = nan"),
    ],
)
def test_settings_that_ask_for_too_much(folder: Path, change: dict[str, Any], said: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(FolderError, match=said):
        read_transformers(folder)


@pytest.mark.parametrize("name", ["../model.safetensors", "/dev/zero", "..", "", "a/b", "a" * 10_000, 7])
def test_an_index_names_files_beside_it(folder: Path, name: Any) -> None:
    index = {"weight_map": {"model.embed_tokens.weight": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(FolderError, match=r"must name a file beside it|is missing"):
        read_transformers(folder)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"\xff" * 8, "header of 18,446,744,073,709,551,615 bytes"),
        (struct.pack("<Q", 10**8), "header of 100,000,000 bytes"),
        (struct.pack("<Q", 10**6) + b"[" * 10**6, "nested too deeply"),
        (
            b'{"a": {"dtype": "F32", "shape": [0, 9223372036854775808], "data_offsets": [0, 0]}}',
            "which none has",
        ),
        (b'{"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}', "is of type 'F4'"),
        (
            b'{"a": {"dtype": "F32", "shape": [1099511627776], "data_offsets": [0, 4398046511104]}}',
            "metadata",
        ),
        (b'{"a": {}, "a": {}}', "'a' stands twice"),
    ],
)
def test_tensors_that_are_not_what_they_say(folder: Path, header: bytes, said: str) -> None:
    content = struct.pack("<Q", len(header)) + header if header.startswith(b"{") else header
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(FolderError, match=said):
        read_transformers(folder)


def test_gguf_tensors_that_share_their_numbers(tmp_path: Path) -> None:
    path = written("gpt2", tmp_path)
    content = path.read_bytes()
    for name in (b"blk.0.attn_norm.bias", b"blk.0.ffn_norm.bias"):
        place = content.index(name) + len(name) + 4 + 8 + 4
        content = content[:place] + struct.pack("<Q", 0) + content[place + 8 :]
    path.write_bytes(content)
    with pytest.raises(FolderError, match="lie over one another"):
        read_gguf(path)


def test_a_gguf_file_with_a_thousand_million_layers(tmp_path: Path) -> None:
    path = written("gpt2", tmp_path)
    content = path.read_bytes()
    place = content.index(b"gpt2.block_count") + len(b"gpt2.block_count") + 4
    path.write_bytes(content[:place] + struct.pack("<I", 10**9) + content[place + 4 :])
    with pytest.raises(FolderError, match=r"fewer than the configuration asks for|at most 100,000,000,000"):
        read_gguf(path)
