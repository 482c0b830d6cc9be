from pathlib import Path

import pytest

from headway.demos import installed
from headway.errors import UserError


def test_a_file_is_found_by_path_without_an_import() -> None:
    assert "def sample" not in installed.installed_text("numpy", "numpy/__init__.py")[:10]
    assert installed.installed_version("numpy").startswith("numpy ")


def test_a_missing_package_says_how_to_install_it() -> None:
    with pytest.raises(UserError, match=r"no-such-package.*pip install 'headway\[demo\]'"):
        installed.installed_text("no-such-package", "data.txt")
    assert installed.installed_version("no-such-package") == "no-such-package, not installed"


def test_a_package_without_its_file_names_the_file() -> None:
    with pytest.raises(UserError, match=r"nothing\.dict: cannot be read.*numpy"):
        installed.installed_text("numpy", str(Path("numpy") / "nothing.dict"))
