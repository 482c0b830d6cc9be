"""What is counted of the layers of Table 1 is so by law; what is timed is fitted and written as found."""

import json
import math
import re
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import complexity
import layers
from complexity import QUICK, exponents
from layers import KERNEL, KINDS, WINDOW, Recurrent, Unrolled, longest_chain, steps_between

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("n", [5, 9, 20])
def test_paths_are_as_long_as_the_paper_says(n: int) -> None:
    ways = {name: steps_between(kind, n) for name, kind in KINDS.items()}
    assert ways == {
        "self-attention": 1,
        "its kernel alone": 1,
        "in a window": math.ceil((n - 1) / WINDOW),
        "recurrent": n - 1,
        "convolutional": math.ceil((n - 1) / (KERNEL - 1)),
        "convolutional, dilated": next(steps for steps in range(n) if KERNEL**steps >= n),
    }


def test_only_recurrence_waits_for_itself() -> None:
    chains = {name: [longest_chain(kind, n) for n in (5, 9, 13)] for name, kind in KINDS.items()}
    first, second, third = chains.pop("recurrent")
    assert third - second == second - first >= 4, "so many for each position more"
    assert {name for name, counts in chains.items() if len(set(counts)) > 1} == set()


@pytest.mark.parametrize("name", KINDS)
def test_multiplications_are_counted_right(name: str) -> None:
    kind, (n, d) = KINDS[name], (12, 16)
    build = Unrolled if kind.build is Recurrent else kind.build
    layer, x = build(n, d), torch.randn(1, n, d)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        layer(x)
    assert counter.get_total_flops() == 2 * kind.products(n, d), "an addition goes with each"


def test_the_memory_written_out_is_the_fused_one() -> None:
    fused, unrolled = Recurrent(6, 4), Unrolled(6, 4)
    weights = fused.lstm.state_dict()
    unrolled.cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in weights.items()})
    x = torch.randn(1, 6, 4)
    torch.testing.assert_close(unrolled(x), fused(x))


def test_a_window_hides_what_is_far() -> None:
    x = torch.randn(1, 30, 16, requires_grad=True)
    layers.looking_near(30, 16)(x)[0, 0].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(dim=-1) > 0
    assert seen.tolist() == [place <= WINDOW for place in range(30)]


def test_exponents_are_found() -> None:
    cells = {(n, d): 3e-6 * n**1.5 * d**0.25 for n in (8, 16, 64) for d in (4, 32)}
    assert exponents(cells) == pytest.approx((1.5, 0.25))


def test_a_quick_run_writes_all_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complexity.main(["--quick", "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "complexity.json").read_text("utf-8"))
    cells = {f"{n},{d}" for n, d in QUICK.cells}
    for name in KINDS:
        for mode in complexity.MODES:
            assert content["seconds"][name][mode].keys() == cells
            assert all(len(times) == QUICK.rounds for times in content["seconds"][name][mode].values())
    table = (tmp_path / "complexity.md").read_text("utf-8")
    assert all(f"| {name} |" in table for name in KINDS)

    page = tmp_path / "page.md"
    names = re.findall("<!-- table: (.*) -->", complexity.PAGE.read_text("utf-8"))
    page.write_text("".join(f"<!-- table: {name} -->\n<!-- /table -->\n" for name in names), "utf-8")
    monkeypatch.setattr(complexity, "FIGURE", tmp_path / "figure.svg")
    complexity.report(content, QUICK, tmp_path, page)
    tables = re.findall(r"<!-- table: .* -->\n\n[|!]", page.read_text("utf-8"))
    assert len(tables) == len(names) == 4
    drawn = [(tmp_path / name).read_bytes() for name in ("complexity.svg", "figure.svg")]
    assert drawn[0] == drawn[1], "the same figures make the same picture"


def test_what_means_nothing_stays_out_of_the_repository(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        complexity.main(["--quick"])
    assert "--quick needs --out FOLDER" in capsys.readouterr().err
