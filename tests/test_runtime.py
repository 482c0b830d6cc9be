"""What is chosen for the machine is measured once."""

from pathlib import Path

import pytest

from headway import runtime
from headway.runtime import measured_once


def test_a_measurement_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path / "new"))
    taken = iter([1.25, 2.5, 5.0])
    assert measured_once("one", lambda: next(taken)) == 1.25
    assert measured_once("one", lambda: next(taken)) == 1.25
    assert measured_once("other", lambda: next(taken)) == 2.5
    (tmp_path / "new" / "one.json").write_text("no JSON")
    assert measured_once("one", lambda: next(taken)) == 5.0


def test_another_processor_is_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path))
    assert measured_once("one", lambda: 1.0) == 1.0
    monkeypatch.setattr(runtime, "_processor_name", lambda: "another")
    assert measured_once("one", lambda: 2.0) == 2.0


def test_without_a_place_to_keep_it_it_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path / "file" / "below"))
    assert measured_once("one", lambda: 3.0) == 3.0
