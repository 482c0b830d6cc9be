"""What is chosen for the machine is measured once."""

import ctypes
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from headway import runtime
from headway.runtime import keep_memory, measured_once


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


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory came from it")
def test_memory_that_is_freed_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    if not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("another C library")
    keep_memory()
    (torch.ones(10**7) + 1).sum()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        (torch.ones(10**7) + 1).sum()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 10**5  # of 200,000 pages


@pytest.mark.parametrize("said", ["MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_"])
def test_who_says_how_memory_is_kept_is_heard(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    system = SimpleNamespace(mallopt=lambda option, value: done.append(option))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: system)
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    keep_memory()
    assert done == [-1, -3]
    monkeypatch.setenv(said, "1")
    keep_memory()
    assert len(done) == 2
