"""Whether encoded text is still that of its files: by their size and time, or else by the content's hash."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headway.data.corpus import DataConfig
from headway.data.input_files import InputFile, content_hash, input_files
from headway.text.tokenizer import Tokenizers

FORMAT = 1
"""Rises whenever the same text and settings come to be encoded differently."""

CHECKED = "checked.json"
"""The file, beside token files, that keeps size and time of each that was read as a whole."""


def text_fingerprint(data: DataConfig, pairs: bool, seed: int, memory: Path) -> str:
    """SHA-256 of all that decides which examples there are: what the files hold, how they are read and split.

    `memory` is the file that keeps size, time and hash of each input; one whose size and time are unchanged
    is not read again, and neither is a pipe or standard input where it is empty now.
    """
    known = read_json(memory)
    content = [[_state(file, known) for file in input_files(paths)] for paths in (data.train, data.valid)]
    if known != read_json(memory):
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
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes the file whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    beside.write_text(json.dumps(content, indent=1, sort_keys=True), "utf-8")
    beside.replace(path)


def is_known_whole(path: Path) -> bool:
    """Whether the file has the size and time at which all of it was last read and found whole, or written."""
    return path.exists() and read_json(path.parent / CHECKED).get(path.name) == _size_and_time(path)


def remember_whole(paths: Sequence[Path]) -> None:
    """Those of the files, in one folder, are whole that have the size and time of now."""
    memory = paths[0].parent / CHECKED
    known = read_json(memory)
    now = known | {path.name: _size_and_time(path) for path in paths}
    if now != known:
        write_json(memory, now)


def _size_and_time(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _state(file: InputFile, known: dict[str, Any]) -> list[str]:
    """What the file holds and is called by; `known` learns its size, time and hash."""
    place = file.name if file.is_stream else str(file.path.resolve())
    now = _size_and_time(file.path)
    before = known.get(place)
    before = before if isinstance(before, dict) else {}
    trusted = before | now == before or (file.is_stream and not now["size"])
    if not (trusted and isinstance(before.get("sha256"), str)):
        known[place] = now | {"sha256": content_hash(file.path)}
    return [known[place]["sha256"], file.suffix]
