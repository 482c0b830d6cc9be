"""Folders that are whole or not there: written beside, flushed, listed in a manifest, renamed last."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from headway.config import each_once, from_table
from headway.errors import FolderError, UserError, shown

MANIFEST = "manifest.json"
LARGEST_MANIFEST = 2**16
"""Bytes; what is larger is not read at all."""
LARGEST_HEADER = 2**24
"""Bytes that say what lies in a file of tensors; more than any real file has."""
LARGEST_AXIS = 2**40
# fmt: off
NUMBERS = frozenset((
    "BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64",
    "F8_E4M3", "F8_E5M2",
))
# fmt: on
"""Types of tensors that can be computed with."""
LEFT_OVER = re.compile(r"\.(?P<name>.+)\.[0-9]+\.(?P<kind>part|old)")
"""The names of what is being written, .NAME.PROCESS.part, and of what is being replaced (.old)."""


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
    settle(folder.parent, folder.name)
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
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


def settle(parent: Path, name: str = "") -> None:
    """Tidy up what killed processes left in a folder: of one name in it, or of all that no process writes.

    What was being replaced, and is not replaced yet, comes back; what was half written goes.
    """
    for path in sorted(parent.iterdir()) if parent.is_dir() else []:
        match = LEFT_OVER.fullmatch(path.name)
        if match is None or name not in ("", match["name"]):
            continue
        place = parent / match["name"]
        if match["kind"] == "part":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif place.exists():
            _drop(path, place)
        else:
            path.rename(place)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that whatever happens it has its old content or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with writing(path), beside.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        flush_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A write that fails inside is an OSError that names a file, whatever it was written with."""
    try:
        yield
    except SafetensorError as error:
        raise OSError(f"{path}: {error}") from error
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


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
    with naming(path):
        found = facts(path)
    if found != expected:
        raise FolderError(
            f"{path}: its SHA-256 is not the {expected.sha256[:12]}… that {MANIFEST} expects; "
            "it was damaged or changed"
        )


def read_json(path: Path, limit: int) -> dict[str, Any]:
    """The object in a JSON file of at most `limit` bytes. Raises FolderError for anything else."""
    if not path.is_file() or path.stat().st_size > limit:
        raise FolderError(f"{path}: expected a file of at most {limit:,} bytes")
    with naming(path):
        return json_object(path.read_text("utf-8"))


def json_object(text: str | bytes) -> dict[str, Any]:
    """The object that a text is. Raises ValueError for anything else, and for keys that stand twice."""
    content = json.loads(text, object_pairs_hook=each_once)
    if not isinstance(content, dict):
        raise ValueError("expected a JSON object")
    return content


def check_tensors(path: Path) -> None:
    """Raises FolderError unless a safetensors file begins with what one can: its reader checks the rest."""
    with naming(path):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > LARGEST_HEADER:
                raise FolderError(f"has a header of {size:,} bytes; at most {LARGEST_HEADER:,} are read")
            described = json_object(file.read(size))
        for name, facts in described.items():
            if name == "__metadata__" or not isinstance(facts, dict):
                continue
            kind, shape = facts.get("dtype"), facts.get("shape")
            if kind not in NUMBERS:
                raise FolderError(f"the tensor {shown(name)} is of type {shown(kind)}, not read here")
            if not isinstance(shape, list) or not all(type(n) is int and n <= LARGEST_AXIS for n in shape):
                raise FolderError(f"the tensor {shown(name)} has the shape {shown(shape)}, which none has")


@contextmanager
def naming(path: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Errors in what a file says, those of `kinds` included, become FolderErrors that name the file."""
    caught: tuple[type[Exception], ...] = (UserError, ValueError, ArithmeticError, *kinds)
    try:
        yield
    except RecursionError as error:
        raise FolderError(f"{path}: is nested too deeply to be one of ours") from error
    except OSError as error:
        raise FolderError(f"{path}: cannot be read: {error.strerror or error}") from error
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
        old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        folder.rename(old)
        try:
            beside.rename(folder)
        except BaseException:
            old.rename(folder)
            raise
        _drop(old, folder, unlisted)
    flush_folder(folder.parent)


def _drop(old: Path, folder: Path, unlisted: tuple[str, ...] = ()) -> None:
    """Remove a folder that was replaced; files that are not ours move into the one that replaced it."""
    listed = _listed(old)
    for path in old.iterdir():
        if path.name not in {MANIFEST, *unlisted, *listed} and not (folder / path.name).exists():
            path.rename(folder / path.name)
    shutil.rmtree(old)
