"""Where everything of a run lies."""

from dataclasses import dataclass
from pathlib import Path

from headway.errors import UserError


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
    def exists(self) -> bool:
        return self.recipe.is_file()

    @property
    def is_finished(self) -> bool:
        return self.model.is_dir()


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
