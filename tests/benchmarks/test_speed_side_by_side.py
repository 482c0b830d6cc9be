"""Contenders work in turn, what they tell is kept, and who cannot take part is named with the reason."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

from side_by_side import Contender, contest, quartiles, ratio  # noqa: E402  (found by the line above)

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
sys.path.append({place!r})
from side_by_side import serve
order = open({log!r}, "a", buffering=1)
def work(job, number):
    order.write(f"{name} {{job}} {{number}}\\n")
    print("a library's chatter")
    return {{"seconds": number + 0.5}}
serve(lambda: {{"name": {name!r}}}, work)
"""


def contender(name: str, log: Path) -> Contender:
    program = PROGRAM.format(place=str(ROOT / "benchmarks"), log=str(log), name=name)
    return Contender(name, [sys.executable, "-c", program])


def test_contenders_take_turns(tmp_path: Path) -> None:
    log, said, looks = tmp_path / "order.txt", list[str](), list[int]()
    several = [contender("a", log), contender("b", log)]
    broken = Contender("c", [sys.executable, "-c", "raise SystemExit('no such library')"])
    left_out = contest([*several, broken], 2, ["x", "y"], between=lambda: looks.append(1), say=said.append)
    assert left_out == {"c": "no such library"}
    assert len(looks) == 2
    warm = ["a x 0", "a y 0", "b x 0", "b y 0"]
    rounds = [f"{name} {job} {number}" for number in (1, 2) for job in "xy" for name in "ab"]
    assert log.read_text().splitlines() == [*warm, *rounds]
    for each in several:
        assert each.about == {"name": each.name}
        assert each.windows == {job: [{"seconds": 1.5}, {"seconds": 2.5}] for job in "xy"}
        assert each.peak_mib > 0


def test_a_ratio_is_of_medians_and_tells_its_spread() -> None:
    assert ratio([2.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == {"ratio": 2.0, "low": 2.0, "high": 3.0}
    assert quartiles([5.0]) == {"q1": 5.0, "median": 5.0, "q3": 5.0}
    assert quartiles([1.0, 2.0, 3.0])["median"] == 2.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "training.py small",
        "training.py masked",
        "training.py chars",
        "decoding.py",
        "levers.py",
        "training_levers.py",
        "loss_curves.py",
        "encoding.py",
        "loading.py",
    ],
)
def test_each_command_runs_through(command: str, tmp_path: Path) -> None:
    script, *more = command.split()
    name = "-".join([script.removesuffix(".py"), *more]).replace("_", "-")
    name = "decoding-levers" if name == "levers" else name
    subprocess.run(
        [sys.executable, ROOT / "benchmarks" / script, *more, "--quick", "--out", tmp_path],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.json", f"{name}.md"}
    assert (tmp_path / f"{name}.md").read_text("utf-8").count("\n| ") >= 2
