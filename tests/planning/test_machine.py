import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headway.model.presets import preset_config
from headway.planning import machine
from headway.planning.machine import Work, measured, this_machine
from headway.runtime import RuntimeConfig, limited_threads
from headway.training.settings import OptimizerConfig

RUNTIME = RuntimeConfig(precision="float32", attention="matmul", device="cpu")
SHAPE = {"d_model": 16, "d_ff": 16, "attention": {"num_heads": 2}}


def work(name: str, rows: int = 4, width: int = 6, labelled: float = 1.0) -> Work:
    layers = {"encoder_layers": 1, "decoder_layers": 1}
    stacks = {key: n for key, n in layers.items() if name.startswith("pairs") or key.startswith(name)}
    config = preset_config("paper-base", 30, {**SHAPE, "encoder_layers": 0, "decoder_layers": 0, **stacks})
    source = 5 if name == "pairs" else 0
    return Work(config, OptimizerConfig(kind="muon", rate=1e-3), rows, width, source, labelled)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path))
    monkeypatch.setattr(machine, "MOST_STEPS", 2)
    return tmp_path / "steps"


@pytest.mark.parametrize(("name", "labelled"), [("pairs", 1.0), ("decoder", 1.0), ("encoder", 0.15)])
def test_a_step_is_measured_once_and_kept(cache: Path, name: str, labelled: float) -> None:
    first = measured(work(name, labelled=labelled), RUNTIME)
    assert 0 < first < 5
    [file] = cache.glob("*.json")
    assert measured(work(name, labelled=labelled), RUNTIME) == pytest.approx(first, rel=0.01)
    assert len(list(cache.glob("*.json"))) == 1
    file.write_text(json.dumps(dict.fromkeys(json.loads(file.read_text("utf-8")), 3600 / 7.0)), "utf-8")
    assert measured(work(name, labelled=labelled), RUNTIME) == pytest.approx(7)


def test_each_number_of_threads_is_measured_by_itself(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "BUSY", 1e9)
    before = torch.get_num_threads()
    for count in (1, 2):
        measured(work("pairs"), replace(RUNTIME, threads=count))
    [file] = cache.glob("*.json")
    assert len(json.loads(file.read_text("utf-8"))) == 2
    assert torch.get_num_threads() == before


def test_measuring_leaves_random_numbers_alone(cache: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    measured(work("pairs"), RUNTIME)
    assert torch.equal(torch.rand(2), expected)


def test_what_is_measured_beside_others_work_is_not_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "SHORTEST", 0.0)
    monkeypatch.setattr(machine, "BUSY", 0.0)
    with limited_threads(2):
        assert measured(work("pairs"), RUNTIME) > 0
        assert torch.get_num_threads() == 2
    assert not list(cache.glob("*.json"))


def test_this_machine_has_cores_and_memory() -> None:
    found = this_machine(RuntimeConfig(threads=3))
    assert found.cores == 3
    assert str(found).startswith("3 cores")
    assert found.memory is None or found.memory > 2**28
