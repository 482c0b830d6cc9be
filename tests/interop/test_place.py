"""A new folder is whole or not there."""

from pathlib import Path

import pytest

from headway.errors import FolderError
from headway.interop.place import new_folder


def test_files_and_folders_come_to_their_place(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    with new_folder(place) as beside:
        (beside / "inner").mkdir()
        (beside / "inner" / "file").write_text("x")
        assert not place.exists()
    assert (place / "inner" / "file").read_text() == "x"
    assert [path.name for path in place.parent.iterdir()] == ["b"]


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a") as beside:
        (beside / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as beside:
        (beside / "file").write_text("x")
    with pytest.raises(FolderError, match="a: exists already"), new_folder(tmp_path / "a"):
        raise AssertionError("never reached")


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "a") as beside:
        (beside / "file").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
