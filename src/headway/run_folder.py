"""Where everything of a run lies."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from headway.errors import FolderError, UserError

LOCK = "run.lock"


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds the recipe, the encoded data, checkpoints, metrics, and at last the model."""

    path: Path

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.toml"

    @property
    def plan(self) -> Path:
        """The recipe with the reasons of each choice, where it was planned."""
        return self.path / "plan.toml"

    @property
    def preflight(self) -> Path:
        """What the checks before the first step found."""
        return self.path / "preflight.json"

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
    def is_taken(self) -> bool:
        """Whether anything is there but what a process leaves that was killed before it had a recipe."""
        if not self.path.exists():
            return False
        written = (self.facts.name, self.plan.name, self.recipe.name)
        ours = (LOCK, *written[:2], *(f".{name}.*.part" for name in written))
        return any(not any(path.match(one) for one in ours) for path in self.path.iterdir())

    @property
    def is_finished(self) -> bool:
        return self.model.is_dir()

    @property
    def is_running(self) -> bool:
        """Whether a process works in this folder; the lock of one that was killed is removed."""
        if not (self.path / LOCK).exists():
            return False
        try:
            with self.locked():
                return False
        except (FolderError, PermissionError):
            return True

    @property
    def facts(self) -> Path:
        return self.path / "run.json"

    @property
    def launched_by(self) -> str:
        """What launched the processes that began the run; empty where nothing did, or none began."""
        try:
            return str(json.loads(self.facts.read_text("utf-8"))["launch"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside the block no other process can work in this folder: it gets a FolderError.

        The system frees a lock whose process is gone, however it went.
        """
        lock = FileLock(self.path / LOCK, blocking=False)
        try:
            lock.acquire()
        except Timeout:
            raise FolderError(
                f"{self.path}: another process works here and holds {LOCK}; wait for its end, or end it"
            ) from None
        try:
            yield
        finally:
            with suppress(OSError):  # where a file that is open cannot be removed, it stays
                (self.path / LOCK).unlink()  # while it is held: who waits for it sees that it is gone
            lock.release()

    def take_back(self) -> None:
        """Remove what a run that trained nothing wrote into the folder."""
        for folder in (self.data, self.tokenizers, self.path / "tensorboard"):
            shutil.rmtree(folder, ignore_errors=True)
        logs = ("metrics.jsonl", "samples.jsonl", "findings.jsonl")
        for file in ("recipe.toml", "plan.toml", "preflight.json", "run.json", *logs):
            (self.path / file).unlink(missing_ok=True)


def free_folder(name: str, below: Path = Path("runs")) -> Path:
    """runs/NAME, or runs/NAME-2 and so on where that is taken."""
    taken = 1
    while (folder := below / (name if taken == 1 else f"{name}-{taken}")).exists():
        taken += 1
    return folder


def run_of(path: Path) -> RunFolder | None:
    """The run that a path names: its folder, or the model folder inside it; None where there is no run."""
    for folder in (path, path.absolute().parent):
        run = RunFolder(folder)
        if run.exists and (folder == path or run.model == path.absolute()):
            return run
    return None


def model_folder(path: Path) -> Path:
    """The model folder that a path names: itself, or the one inside a run folder."""
    run = RunFolder(path)
    if not run.exists:
        return path
    if not run.is_finished:
        raise UserError(f"{path}: this run has no model yet; go on with it by `headway train {path}`")
    return run.model
