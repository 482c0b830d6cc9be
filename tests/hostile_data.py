"""Encoded text as others may have written it: token files, and folders of prepared text with its blocks."""

import json
import re
import shutil
import struct
import zlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from headway.data import blocks
from headway.data import prepare as prepare_module
from headway.data.corpus import DataConfig
from headway.data.fingerprint import CHECKED
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import CausalObjective, PairsObjective
from headway.data.prepare import Prepared, prepare
from headway.data.token_file import MAGIC, TokenFile, TokenWriter
from headway.text.special import OURS
from headway.text.tokenizer import TextConfig, TokenizerConfig

SIZES = struct.Struct("<QQ")
TEXT = [f"{word} {other}" for word in ("a", "bc", "def") for other in ("x", "yz")]


def opened(content: bytes) -> bytes:
    """A token file without its sums, for whoever would change it: the length of the header, it, the rest."""
    length, _ = SIZES.unpack(content[len(MAGIC) :][: SIZES.size])
    rest = content[len(MAGIC) + SIZES.size :]
    return struct.pack("<Q", length) + rest


def closed(content: bytes) -> bytes:
    """The token file of what `opened` gives, with sums that fit, as by one who knows how."""
    length = int.from_bytes(content[:8], "little")
    header, arrays = content[8 : 8 + length], content[8 + length :]
    header = re.sub(rb'"crc32": \d+', b'"crc32": %d' % zlib.crc32(arrays), header)
    return MAGIC + SIZES.pack(len(header), zlib.crc32(header)) + header + arrays


def changed_header(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """The same file with another header, and sums that fit."""
    content = opened(path.read_bytes())
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header)
    described = json.dumps(header).encode()
    path.write_bytes(closed(len(described).to_bytes(8, "little") + described + content[8 + length :]))


def token_file_seeds(folder: Path) -> list[bytes]:
    """A first byte that says whether the sums are made to fit, then a token file: of texts and of pairs."""
    seeds = []
    for source_size in (None, 100):
        with TokenWriter(folder / "seed", 100, source_size) as writer:
            for line in range(1, 8):
                writer.add([5] * line, [7, 9] if source_size else None, line)
            writer.finish("print", {"report": ["seven examples"]})
        content = (folder / "seed").read_bytes()
        seeds += [b"\1" + opened(content), b"\0" + content]
    return seeds


def read_token_file(path: Path, content: bytes) -> None:
    """All that training asks of a token file."""
    path.unlink(missing_ok=True)  # another may still be mapped
    path.write_bytes(closed(content[1:]) if content[:1] == b"\1" else content[1:])
    for verify in (True, False):
        file = TokenFile(path, verify=verify)
    for number in range(min(len(file), 99)):
        assert len(file.ids(number)) <= path.stat().st_size
        file.source(number)
    assert file.longest <= path.stat().st_size
    pairs = file.source_starts is not None
    file.check_ids(100, 100 if pairs else None)
    objective: Any = PairsObjective(OURS, OURS) if pairs else CausalObjective(OURS)
    if len(file):
        loader = Loader(file, objective, BatchConfig(tokens=64, context=8), seed=1)
        list(islice(loader.epoch(0), 3))
        loader.where(0, 0)


FILES = (
    "train.tokens",
    "valid.tokens",
    CHECKED,
    "inputs.json",
    "text.json",
    "tokenizer.json",
    "encoding/text.json",
    "encoding/held-out",
    "encoding/000000.train.block",
    "encoding/000000.validation.block",
    "encoding/000000.train.hashes",
)


class PreparedFolder:
    """A folder of prepared text in which encoding was broken off after a block, though it is done."""

    def __init__(self, folder: Path) -> None:
        self.text, self.whole, self.place = folder / "text.txt", folder / "whole", folder / "place"
        self.text.write_text("".join(f"{line} {number}\n" for number, line in enumerate(TEXT * 3)), "utf-8")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(blocks, "BLOCK_EXAMPLES", 8)
            patched.setattr(prepare_module.shutil, "rmtree", lambda *_, **__: None)
            self.prepare(self.whole)

    def prepare(self, folder: Path) -> Prepared:
        data = DataConfig(train=(str(self.text),), layout="lines", held_out=0.2)
        text = TextConfig(target=TokenizerConfig(kind="characters"))
        return prepare(data, text, pairs=False, folder=folder, seed=1, progress=lambda _: None)

    def seeds(self) -> list[bytes]:
        """A first byte that says which file of it the rest replaces; token files as `opened` gives them."""
        contents = [(self.whole / name).read_bytes() for name in FILES]
        return [
            bytes([number]) + (opened(content) if content.startswith(MAGIC) else content)
            for number, content in enumerate(contents)
        ]

    def read(self, content: bytes) -> None:
        name = FILES[(content[0] if content else 0) % len(FILES)]
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.whole, self.place)
        is_tokens = name.endswith((".tokens", ".block"))
        (self.place / name).write_bytes(closed(content[1:]) if is_tokens else content[1:])
        if name.startswith("encoding/"):
            (self.place / "train.tokens").unlink()  # so that it is gone on with
        else:
            shutil.rmtree(self.place / "encoding")
        if name != CHECKED:
            (self.place / CHECKED).unlink()
        found = self.prepare(self.place)
        size = found.tokenizers.target.vocab_size
        assert all(int(max(file.ids(0), default=0)) < size for file in (found.train, found.valid))
