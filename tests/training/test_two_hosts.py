"""Two hosts train one model; a cable out for a while changes nothing, or ends the run until it is in."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def reason_to_skip() -> str:
    code = "import two_hosts; print(two_hosts.missing())"
    asked = subprocess.run([sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, check=True)
    return asked.stdout.decode().strip()


@pytest.mark.slow
def test_a_cut_between_two_hosts(tmp_path: Path) -> None:
    if reason := reason_to_skip():
        pytest.skip(reason)
    for name in ("two_hosts.py", "machine.py"):
        shutil.copy(BENCHMARKS / name, tmp_path)
    script = tmp_path / "two_hosts.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "runs")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads((tmp_path / "results" / "two_hosts.json").read_text("utf-8"))["runs"]
    assert len(found) == 3
    assert all(run["same model"] for run in found.values())
    gave_up = found["cable out until both gave up, then gone on with"]
    assert "headway train" in gave_up["message"]
    assert gave_up["seconds until both gave up"] < 60
