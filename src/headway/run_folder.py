"""Where everything of a run lies."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headway.errors import FolderError, UserError


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds the recipe, the encoded data, checkpoints, metrics, and at last the model."""

    path: Path

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.toml"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def tokenizers(self) -> Path:
        return self.path / "tokenizers"

    @property
    def exists(self) -> bool:
        return self.recipe.is_file()

    @property
    def is_finished(self) -> bool:
        return self.model.is_dir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside the block no other process can work in this folder: it gets a FolderError."""
        lock = self.path / "run.lock"
        descriptor = _take(lock)
        try:
            os.write(descriptor, str(os.getpid()).encode())
            yield
        finally:
            os.close(descriptor)
            lock.unlink(missing_ok=True)

    def take_back(self) -> None:
        """Remove what a run that trained nothing wrote into the folder."""
        for folder in (self.data, self.tokenizers, self.path / "tensorboard"):
            shutil.rmtree(folder, ignore_errors=True)
        for file in ("recipe.toml", "run.json", "metrics.jsonl", "samples.jsonl"):
            (self.path / file).unlink(missing_ok=True)


def _take(lock: Path) -> int:
    """The descriptor of the lock file, newly made; one that a dead process left is replaced."""
    while True:
        try:
            return os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            try:
                held = lock.read_text("utf-8")
                if os.name == "posix" and _is_alive(held):
                    raise FolderError(
                        f"{lock.parent}: process {held or 'unknown'} works here; wait for its end, or remove "
                        f"{lock.name} if that is no run of Headway"
                    ) from None
                lock.unlink()  # elsewhere a file that is held open cannot be removed
            except FileNotFoundError:
                continue
            except PermissionError as error:
                raise FolderError(f"{lock.parent}: another process works here") from error


def _is_alive(process: str) -> bool:
    """Whether a process with this number runs beside this one."""
    if not process.isdecimal():
        return True  # it has the lock, and writes its number next
    if int(process) == os.getpid():
        return False  # of a machine that has started again, or a container: numbers come again
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def free_folder(name: str, below: Path = Path("runs")) -> Path:
    """runs/NAME, or runs/NAME-2 and so on where that is taken."""
    taken = 1
    while (folder := below / (name if taken == 1 else f"{name}-{taken}")).exists():
        taken += 1
    return folder


def model_folder(path: Path) -> Path:
    """The model folder that a path names: itself, or the one inside a run folder."""
    run = RunFolder(path)
    if not run.exists:
        return path
    if not run.is_finished:
        raise UserError(f"{path}: this run has no model yet; go on with it by `headway train {path}`")
    return run.model
