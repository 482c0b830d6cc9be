"""What every test runs under: shapes and types checked, fixed seeds, one thread a worker."""

import gc
import os
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.shape_checks import begin_test, check_shapes

# Tests start many programs, and to compile all again for each takes longer than to run it.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

assert "headway" not in sys.modules, "headway was imported before its shapes could be checked"
check_shapes()

import numpy as np  # noqa: E402  (the hook comes before all else)
import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--at-most", type=int, default=0, help="run only so many of the tests, evenly spread")


def pytest_configure(config: pytest.Config) -> None:
    # what is measured of this machine is kept from run to run, but not among the user's own
    os.environ.setdefault("HEADWAY_CACHE", str(Path(tempfile.gettempdir(), "headway-tests")))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts its background jobs so
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)
        os.environ["OMP_NUM_THREADS"] = "1"  # for the programs that tests start


@pytest.hookimpl(trylast=True)  # after -m and -k have chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("gpu") is not None and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
    most = config.getoption("--at-most")
    if 0 < most < len(items):
        chosen = [items[index * len(items) // most] for index in range(most)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


def pytest_collection_finish() -> None:
    gc.freeze()  # what is imported stays: to look through it for garbage takes seconds in all


@pytest.fixture(autouse=True)
def same_start() -> None:
    begin_test()
    random.seed(0)
    np.random.seed(0)
    if torch.cuda.is_available():
        torch.manual_seed(0)
    else:  # that of torch keeps where it was called from for each device that may come yet, in milliseconds
        torch.default_generator.manual_seed(0)


@pytest.fixture(autouse=True)
def known_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans are made for a machine whose speed is known: to measure it takes seconds."""
    monkeypatch.setattr("headway.planning.machine.measured", lambda work, runtime: 0.01)


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Finished run folders of the three kinds of model."""
    from tests.tiny import train_tiny

    folder = tmp_path_factory.mktemp("tiny")
    return {kind: train_tiny(kind, folder).folder.path for kind in ("pairs", "causal", "masked")}
