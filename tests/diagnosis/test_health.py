"""Curves and tables for people."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from headway.diagnosis.curves import HEIGHT, WIDTH, text_curves
from headway.diagnosis.health import health
from headway.diagnosis.history import History
from headway.diagnosis.plot import curves, save_curves
from headway.errors import UserError

from .histories import history, learning, looks, samples, steps


def shown(folder: Path, of: History) -> str:
    console = Console(width=110, file=io.StringIO())
    with console.capture() as captured:
        for part in health(folder, of):
            console.print(part)
    return captured.get()


def test_curves_are_where_their_figures_are() -> None:
    of = history([4.0, 3.0, 2.0, 1.0], looks=looks(2.5, 1.0, every=2))
    title, *rows, axis, scale = text_curves(of).splitlines()
    assert "training" in title
    assert "held-out" in title
    assert len(rows) == HEIGHT
    plot = [row.partition("│")[2].ljust(WIDTH) for row in rows]
    assert plot[0][0] == "·", "the highest loss comes first"
    assert plot[-1][WIDTH * 3 // 4] == "o", (
        "the lowest is the last, and held-out loss lies above training loss"
    )
    assert rows[0].split()[0] == "4"
    assert rows[-1].split()[0] == "1"
    assert axis.strip() == "└" + "─" * WIDTH
    assert scale.split() == ["step", "1", "4"]
    assert text_curves(history([])) == ""
    assert "·" in text_curves(history([1.0])), "one figure has no range"


def test_health_shows_findings_and_samples(tmp_path: Path) -> None:
    said = samples("[red]same", finished=False)
    text = shown(tmp_path, history(looks=looks(2.0, 1.5, 1.6, 1.8, samples=said)))
    for words in (
        "stopped, at step 100",
        "over-fitting",
        "collapse",
        "best loss",
        "newest",
        "[red]same (cut at",
    ):
        assert words in text, words
    assert "nothing wrong" in shown(tmp_path, history())
    assert "no step written down yet" in shown(tmp_path, history([]))


def test_health_shows_what_the_first_checks_found(tmp_path: Path) -> None:
    def checks(level: str) -> str:
        one = {"check": "first loss", "level": level, "message": "is [high]", "remedy": "lower it"}
        (tmp_path / "preflight.json").write_text(json.dumps({"findings": [one]}), "utf-8")
        return shown(tmp_path, history())

    assert "none written down" in shown(tmp_path, history())
    assert "all 1 passed" in checks("ok")
    assert "is [high]" in checks("warning")
    (tmp_path / "preflight.json").write_text("[", "utf-8")
    assert "none written down" in shown(tmp_path, history())


def test_the_figure_has_losses_rate_and_gradients(tmp_path: Path) -> None:
    of = history(steps=steps([*learning(), 90.0], 2.5), looks=looks(2.0, 1.5, 1.6))
    losses, rates, norms = curves(of, "title").axes
    lines = {line.get_label(): line for line in losses.lines}
    assert list(lines["training"].get_ydata()) == [step.loss for step in of.steps]
    assert list(lines["held-out"].get_ydata()) == [2.0, 1.5, 1.6]
    assert "best: 1.5 at step 40" in lines
    assert losses.get_ylim()[1] < 10, "one wild loss does not flatten all others"
    assert list(rates.lines[0].get_ydata()) == [1e-3] * 101
    assert [list(line.get_ydata()) for line in norms.lines][1] == [1.0, 1.0], "the clip"
    save_curves(of, tmp_path / "curves.png", "title")
    for axis in (losses, norms):
        assert axis.get_legend().get_window_extent().y0 >= axis.get_window_extent().y1, "covers no curve"
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_needs_curves() -> None:
    with pytest.raises(UserError, match="no curves to draw yet"):
        curves(history([]), "title")
