"""Whether encoded text is still that of its files: by their size and time, or else by the content's hash."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headway.data.corpus import DataConfig
from headway.data.input_files import InputFile, content_hash, input_files
from headway.text.tokenizer import Tokenizers

FORMAT = 1
"""Rises whenever the same text and settings come to be encoded differently."""


def text_fingerprint(data: DataConfig, pairs: bool, seed: int, memory: Path) -> str:
    """SHA-256 of all that decides which examples there are: what the files hold, how they are read and split.

    `memory` is the file that keeps size, time and hash of each input; one whose size and time are unchanged
    is not read again, and neither is a pipe or standard input where it is empty now.
    """
    known = read_json(memory)
    content = [[_state(file, known) for file in input_files(paths)] for paths in (data.train, data.valid)]
    write_json(memory, known)
    reading = asdict(data)
    for name in ("train", "valid", "cache"):
        del reading[name]
    return fingerprint_of([FORMAT, content, reading, pairs, seed])


def encoded_fingerprint(text: str, tokenizers: Tokenizers) -> str:
    """The fingerprint of text as encoded by these tokenizers."""
    source = tokenizers.source
    return fingerprint_of(
        [text, tokenizers.target.fingerprint, None if source is None else source.fingerprint]
    )


def fingerprint_of(content: Any) -> str:
    """SHA-256 of anything that JSON can say."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """The object in the file; empty where there is none."""
    try:
        held = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes the file whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    beside.write_text(json.dumps(content, indent=1, sort_keys=True), "utf-8")
    beside.replace(path)


def _state(file: InputFile, known: dict[str, Any]) -> list[str]:
    """What the file holds and is called by; `known` learns its size, time and hash."""
    place = file.name if file.is_stream else str(file.path.resolve())
    status = file.path.stat()
    now = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
    before = known.get(place, {})
    trusted = before | now == before or (file.is_stream and not status.st_size)
    if not (trusted and "sha256" in before):
        known[place] = now | {"sha256": content_hash(file.path)}
    return [known[place]["sha256"], file.suffix]
