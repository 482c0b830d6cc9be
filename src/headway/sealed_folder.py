"""Folders that are whole or not there: written beside, flushed, listed in a manifest, renamed last."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headway.config import from_table
from headway.errors import FolderError, UserError

MANIFEST = "manifest.json"
LARGEST_MANIFEST = 2**16
"""Bytes; what is larger is not read at all."""


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a sealed folder holds."""

    format: str
    format_version: int
    files: dict[str, FileFacts]


@contextmanager
def sealing(folder: Path, format: str, version: int, unlisted: tuple[str, ...] = ()) -> Iterator[Path]:
    """Write the files into the path this yields; on leaving they are flushed, listed and put in their place.

    An older `folder` is replaced, and files in it that no manifest lists are kept. Files named in `unlisted`
    may be edited later: the manifest leaves them out. If anything fails, what was there before stays.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    for left_over in folder.parent.glob(f".{folder.name}.*.part"):  # of a process that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    beside.mkdir()
    try:
        yield beside
        files = {path.name: facts(path) for path in sorted(beside.iterdir()) if path.name not in unlisted}
        manifest = Manifest(format=format, format_version=version, files=files)
        (beside / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n", "utf-8")
        mode = (beside / MANIFEST).stat().st_mode
        for path in beside.iterdir():
            path.chmod(mode)  # safetensors lets only the owner read
            with path.open("r+b") as file:
                os.fsync(file.fileno())
        flush_folder(beside)
        _put_in_place(beside, folder, unlisted)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def read_manifest(folder: Path, format: str, version: int) -> Manifest:
    """The manifest of a folder of this format. Raises FolderError if it is none, or of a newer version."""
    path = folder / MANIFEST
    table = read_json(path, LARGEST_MANIFEST)
    if table.get("format") != format:
        raise FolderError(f'{path}: expected "format": "{format}"; another program wrote this folder')
    written = table.get("format_version")
    if isinstance(written, int) and written > version:
        raise FolderError(
            f"{path}: the folder has format {written}, and this Headway reads up to {version}: "
            "upgrade Headway to use it"
        )
    with naming(path):
        return from_table(Manifest, table)


def check_file(path: Path, expected: FileFacts) -> None:
    """Raises FolderError unless the file is the one that the manifest lists."""
    if not path.is_file():
        raise FolderError(f"{path}: is missing; {MANIFEST} lists it with {expected.size:,} bytes")
    size = path.stat().st_size
    if size != expected.size:
        raise FolderError(f"{path}: has {size:,} bytes where {expected.size:,} are expected; it is damaged")
    if facts(path) != expected:
        raise FolderError(
            f"{path}: its SHA-256 is not the {expected.sha256[:12]}… that {MANIFEST} expects; "
            "it was damaged or changed"
        )


def read_json(path: Path, limit: int) -> dict[str, Any]:
    """The object in a JSON file of at most `limit` bytes. Raises FolderError for anything else."""
    if not path.is_file() or path.stat().st_size > limit:
        raise FolderError(f"{path}: expected a file of at most {limit:,} bytes")
    with naming(path):
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, dict):
            raise ValueError("expected a JSON object")
        return content


@contextmanager
def naming(path: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Errors in what a file says, those of `kinds` included, become FolderErrors that name the file."""
    caught: tuple[type[Exception], ...] = (UserError, ValueError, *kinds)
    try:
        yield
    except RecursionError as error:
        raise FolderError(f"{path}: is nested too deeply to be one of ours") from error
    except caught as error:
        raise FolderError(f"{path}: {error}") from error


def facts(path: Path) -> FileFacts:
    with path.open("rb") as file:
        return FileFacts(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def flush_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def _listed(folder: Path) -> set[str]:
    """The files that the manifest of a folder lists; none where it is missing or damaged."""
    try:
        files = read_json(folder / MANIFEST, LARGEST_MANIFEST).get("files")
    except FolderError:
        return set()
    return set(files) if isinstance(files, dict) else set()


def _put_in_place(beside: Path, folder: Path, unlisted: tuple[str, ...]) -> None:
    if not folder.exists():
        beside.rename(folder)
    else:
        listed = _listed(folder)
        old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        folder.rename(old)
        try:
            beside.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        for path in old.iterdir():
            if path.name not in {MANIFEST, *unlisted, *listed} and not (folder / path.name).exists():
                path.rename(folder / path.name)
        shutil.rmtree(old)
    flush_folder(folder.parent)
