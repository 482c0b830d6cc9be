"""What an experiment finds reaches its page, its pictures and its figures as they are, and nothing else."""

import json
import math
import re
from pathlib import Path

import pytest
from tour.report import PAGES, Results, Settings, band, plain, spread

from headway.errors import UserError
from tour import __main__ as program
from tour import report

pytestmark = pytest.mark.slow

PAGE = """# A page

<!-- table: shares -->
old
<!-- /table -->

between

<!-- table: other -->
kept
<!-- /table -->

<!-- text: run -->
<!-- /text -->
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a-page.md").write_text(PAGE, "utf-8")
    return tmp_path


def results_in(folder: Path, **settings: object) -> Results:
    return Results("a_page", Settings(out=folder, **settings))  # type: ignore[arg-type]


def test_a_table_stands_in_its_place_and_nowhere_else(folder: Path) -> None:
    results, page = results_in(folder), folder / "a-page.md"
    results.table("shares", ["kind", "share", "note"], [["a", "10%", "x"], ["b", "2", "3 y"]])
    table = "| kind | share | note |\n| --- | ---: | --- |\n| a | 10% | x |\n| b | 2 | 3 y |"
    expected = PAGE.replace("old\n", f"\n{table}\n\n")
    assert page.read_text("utf-8") == expected
    results.table("shares", ["kind", "share", "note"], [["a", "10%", "x"], ["b", "2", "3 y"]])
    assert page.read_text("utf-8") == expected, "the same again changes nothing"


def test_a_text_may_hold_what_a_pattern_would_mean(folder: Path) -> None:
    page = folder / "a-page.md"
    page.write_text("<!-- text: found -->\n<!-- /text -->\n", "utf-8")
    results_in(folder).text("found", r"\1 \g<0> √d")
    assert page.read_text("utf-8") == "<!-- text: found -->\n\n\\1 \\g<0> √d\n\n<!-- /text -->\n"


@pytest.mark.parametrize("name", ["missing", "share", "shares -->"])
def test_a_page_without_the_place_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"a-page\.md: has 0 places <!-- table: " + name):
        results_in(folder).table(name, ["a"], [["b"]])
    assert (folder / "a-page.md").read_text("utf-8") == PAGE


def test_figures_are_kept_with_what_they_were_measured_on(folder: Path) -> None:
    results = results_in(folder, seeds=2)
    results.save({"loss": math.nan, "shares": (0.123456789, 1), "names": {"a": "b"}})
    kept = json.loads((folder / "results" / "a-page.json").read_text("utf-8"))
    assert kept["figures"] == {"loss": None, "shares": [0.123457, 1], "names": {"a": "b"}}
    assert (kept["seeds"], kept["quick"]) == ([1, 2], False)
    assert kept["command"] == "python -m tour a-page --seeds 2"
    assert kept["machine"]["torch"] and kept["seconds"] >= 0
    told = (folder / "a-page.md").read_text("utf-8")
    assert "`python -m tour a-page --seeds 2`" in told and "say nothing" not in told


def test_a_smoke_run_says_so_in_its_page(folder: Path) -> None:
    results_in(folder, quick=True).save({})
    assert "A smoke run at tiny sizes" in (folder / "a-page.md").read_text("utf-8")


def test_a_smoke_run_writes_nothing_unless_told_where(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "PAGES", folder)
    results = Results("a_page", Settings(quick=True))
    results.table("shares", ["a"], [["b"]])
    with results.figure() as figure:
        figure.subplots().plot([1, 2])
    results.save({})
    assert [path.name for path in folder.iterdir()] == ["a-page.md"]
    assert (folder / "a-page.md").read_text("utf-8") == PAGE
    assert "| b |" in capsys.readouterr().out, "it is printed"
    assert Settings().folder == folder, "a whole run writes into the pages"


def test_the_page_goes_along_to_another_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "PAGES", folder)
    elsewhere = tmp_path / "elsewhere"
    results_in(elsewhere).table("shares", ["a"], [["b"]])
    assert "| b |" in (elsewhere / "a-page.md").read_text("utf-8")
    assert (folder / "a-page.md").read_text("utf-8") == PAGE


def test_the_same_figure_makes_the_same_bytes_on_a_white_ground(folder: Path) -> None:
    pictures = []
    for _ in range(2):
        with results_in(folder).figure("curve", (2.0, 1.5)) as figure:
            figure.subplots().plot([1.0, 3.0, 2.0], label="a line")
        pictures.append((folder / "figures" / "a-page-curve.svg").read_bytes())
    assert pictures[0] == pictures[1]
    assert re.search(rb'id="patch_1">\s*<path d="[^"]*"\s*style="fill: #ffffff', pictures[0]), (
        "a white ground"
    )


def test_spread_tells_the_median_between_the_extremes() -> None:
    assert spread([3.0, 1.0, 2.0], ".1f") == "2.0 [1.0–3.0]"
    assert spread([0.25], ".0%") == "25%"
    assert band([[1.0, 5.0], [3.0, 4.0], [2.0, 9.0]]) == ([2.0, 5.0], [1.0, 4.0], [3.0, 9.0])


def test_plain_is_what_json_can_hold() -> None:
    found = plain({1: [math.inf, (True, None)], "x": 1e-9})
    assert found == {"1": [None, [True, None]], "x": 1e-9}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_pages_close_every_place_they_open(page: Path) -> None:
    marks = re.findall(r"^<!-- (/?)(table|text)(?:: ([\w-]+))? -->$", page.read_text("utf-8"), re.MULTILINE)
    opened, closed = marks[::2], marks[1::2]
    assert [(slash, bool(name)) for slash, _, name in opened] == [("", True)] * len(opened)
    assert [(slash, kind) for slash, kind, _ in closed] == [("/", kind) for _, kind, _ in opened]
    assert len(set(opened)) == len(opened), "no place is there twice"


def test_one_that_fails_loses_no_others_results(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = []

    class Experiment:
        def __init__(self, name: str) -> None:
            self.name = name.removeprefix("tour.")

        def run(self, settings: Settings) -> None:
            ran.append((self.name, settings.seeds, settings.quick))
            if self.name == "embedding":
                raise ValueError("no luck")
            if self.name == "positions":
                raise UserError("no package")

    monkeypatch.setattr("importlib.import_module", Experiment)
    assert program.main(["--quick", "--seeds", "2"]) == 1
    assert ran == [(name, 2, True) for name in program.NAMES]
    told = capsys.readouterr().err
    assert "6 of 8 experiments are done" in told
    assert "failed: embedding: ValueError: no luck" in told and "failed: positions: no package" in told
    assert program.main(["self-attention"]) == 0
    assert ran[-1] == ("self_attention", 3, False)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["position"], "there is no experiment 'position': did you mean 'positions'?"),
        (["--seeds", "0"], "--seeds 0: must be at least 1"),
    ],
)
def test_what_cannot_be_run_is_refused(
    typed: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        program.main(typed)
    assert told in capsys.readouterr().err
