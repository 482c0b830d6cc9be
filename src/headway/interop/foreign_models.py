"""What can be imported, by what it looks like."""

from pathlib import Path

from headway.bundle import Bundle
from headway.errors import FolderError
from headway.sealed_folder import MANIFEST


def read_foreign(path: Path) -> Bundle:
    """The model in a folder of `transformers` or in a GGUF file. Raises FolderError for anything else."""
    if not path.exists():
        raise FolderError(f"{path}: there is no such folder or file")
    if path.is_dir() and (path / MANIFEST).is_file():
        raise FolderError(f"{path}: is a model folder already; use it as it is")
    if path.is_file():
        from headway.interop.gguf import read_gguf

        return read_gguf(path)
    from headway.interop.huggingface import read_transformers

    return read_transformers(path)
