"""A folder of another program's files that is whole or not there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headway.errors import FolderError
from headway.sealed_folder import flush_folder


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Write the files into the path this yields; on leaving they are flushed and put in their place.

    If anything fails, nothing is left. Raises FolderError if there is something in that place already.
    """
    folder = folder.resolve()
    refuse_taken(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        yield beside
        for path in sorted(beside.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)  # safetensors lets only the owner read
            if path.is_file():
                with path.open("r+b") as file:
                    os.fsync(file.fileno())
        flush_folder(beside)
        if folder.exists():
            folder.rmdir()  # empty
        beside.rename(folder)
        flush_folder(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def refuse_taken(folder: Path) -> None:
    """Raises FolderError unless the folder is not there, or empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderError(f"{folder}: exists already; choose another place or remove it")
