import json
import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console

from headway.demos.bible import Alignment
from headway.demos.complete import write_sources
from headway.demos.demo import Demo, Example, Report, spread
from headway.demos.fill import write_chapters
from headway.demos.pronounce import write_pairs
from headway.demos.run import ABOUT, DEMOS, data_folder, example_table, run_demo
from headway.demos.simplify import write_verses
from headway.errors import FolderError, UserError
from headway.evaluation.result import Evaluation

WORDS = [a + b + c for a in "bdgk" for b in "aeo" for c in "lmn"]
CODE = "import os\n\n\n" + "".join(f"def f{n}(a, b):\n    return a * {n} + b\n\n\n" for n in range(30))

TINY = ["stop.steps=2", "training.samples=1", "runtime.precision=float32", "search.max_length=8"]
SMALL_MODEL = ["model.d_model=16", "model.d_ff=16", "model.attention.num_heads=2"]


def write_tiny(name: str) -> Callable[[Path], list[str]]:
    """The same kinds of files as the demo's own, of invented text."""
    match name:
        case "pronounce":
            words = {word: [" ".join(word.upper()), "X"] for word in WORDS}
            return lambda folder: write_pairs(words, folder, valid=3, test=12)
        case "fill":
            chapters = {
                n: [f"The {word} was good, and the {word} was {n}." for word in WORDS] for n in range(8)
            }
            return lambda folder: write_chapters(chapters, folder, valid=1, test=2)
        case "complete":
            sources = {f"m{n}.py": f"# {n}\n{CODE}" for n in range(30)}
            return lambda folder: write_sources(sources, folder)
    verses = {n: [(f"He hath {word} {n}", f"He has {word} {n}") for word in WORDS[:6]] for n in range(8)}
    return lambda folder: write_verses(Alignment(verses, {}), folder, valid=1, test=2)


def tiny(name: str) -> Demo:
    return replace(DEMOS[name], write=write_tiny(name), origin=lambda: "invented text")


def quiet(_: str) -> None: ...


def run(demo: Demo, overrides: list[str], out: Path) -> str:
    """What the demo prints."""
    console = Console(file=StringIO(), width=120)
    run_demo(demo, overrides, out, quiet, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


MEASURES = {
    "pronounce": {"word error rate", "phoneme error rate", "word error rate, first listed only"},
    "fill": {"masked accuracy"},
    "complete": {"bits per byte", "perplexity"},
    "simplify": {"BLEU", "chrF", "TER", "exact match"},
}
BASELINES = {
    "pronounce": {"commonest output"},
    "fill": {"always the commonest token"},
    "complete": {"xz -9"},
    "simplify": {"copy the source", "commonest output"},
}


@pytest.mark.parametrize("name", DEMOS)
def test_a_demo_ends_with_figures_baselines_examples_and_commands(name: str, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "mine"
    layers = [f"model.{side}_layers=1" for side in ("encoder", "decoder")]
    one_side = {"fill": layers[:1], "complete": layers[1:]}.get(name, layers)
    printed = run(tiny(name), [*TINY, *SMALL_MODEL, *one_side], out)

    found = json.loads((out / "evaluation.json").read_text("utf-8"))
    assert {each["name"] for each in found["systems"]["model"]} == MEASURES[name]
    assert set(found["systems"]) == {"model", *BASELINES[name]}
    headings = [
        word for system in found["systems"] for word in system.split()
    ]  # which may stand on several lines
    for shown in (*headings, "given", "predicted", "right", f"The model is in {out / 'model'}"):
        assert shown in printed
    data = out.parent / f"demo-{name}-data"
    commands = [line.strip() for line in printed.split("Next, try")[1].splitlines() if line.strip()]
    assert [next(iter(re.findall(r"headway (\w+)", each))) for each in commands][-2:] == [
        "evaluate",
        "inspect",
    ]
    assert all(str(out) in each for each in commands)
    assert any(str(data / DEMOS[name].test) in each for each in commands)


def test_a_finished_run_is_only_judged_again_and_other_runs_share_the_data(tmp_path: Path) -> None:
    demo, overrides = tiny("pronounce"), [*TINY, *SMALL_MODEL]
    first = run(demo, overrides, tmp_path / "one")
    weights = (tmp_path / "one" / "model" / "model.safetensors").read_bytes()
    assert run(demo, [], tmp_path / "one") == first
    assert (tmp_path / "one" / "model" / "model.safetensors").read_bytes() == weights
    run(demo, overrides, tmp_path / "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo-pronounce-data", "one", "two"]

    with pytest.raises(FolderError, match="one: is not a run of this demo"):
        run(tiny("simplify"), [], tmp_path / "one")


def test_data_is_written_once_for_each_version(tmp_path: Path) -> None:
    demo = tiny("pronounce")
    said: list[str] = []
    first = data_folder(demo, tmp_path, said.append)
    assert first == tmp_path / "demo-pronounce-data"
    assert "invented text" in (first / ABOUT).read_text("utf-8")
    assert any("test.tsv: 12 words" in line for line in said)

    def refuse(_: Path) -> list[str]:
        raise AssertionError("the data is there")

    assert data_folder(replace(demo, write=refuse), tmp_path, quiet) == first
    kept = (first / "train.tsv").read_bytes()
    newer = data_folder(replace(demo, origin=lambda: "newer text"), tmp_path, quiet)
    assert newer == tmp_path / "demo-pronounce-data-2"
    assert (first / "train.tsv").read_bytes() == kept


def test_data_that_was_interrupted_is_never_taken_for_whole(tmp_path: Path) -> None:
    def fail(folder: Path) -> list[str]:
        (folder / "train.tsv").write_text("half", "utf-8")
        raise UserError("stopped")

    demo = tiny("pronounce")
    with pytest.raises(UserError, match="stopped"):
        data_folder(replace(demo, write=fail), tmp_path, quiet)
    folder = data_folder(demo, tmp_path, quiet)
    assert folder == tmp_path / "demo-pronounce-data"
    assert (folder / "train.tsv").read_text("utf-8") != "half"
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_examples_are_shown_to_the_letter() -> None:
    report = Report(Evaluation(examples=1, systems={}), [Example("[bold]x[/bold]", "def f(", "a: list[int]")])
    console = Console(file=StringIO(), width=100)
    console.print(example_table(report))
    assert isinstance(console.file, StringIO)
    for text in ("[bold]x[/bold]", "def f(", "a: list[int]"):
        assert text in console.file.getvalue()


def test_examples_are_spread() -> None:
    assert spread(3) == [0, 1, 2]
    assert spread(0) == []
    found = spread(1000)
    assert len(found) == 10
    assert {b - a for a, b in pairwise(found)} == {100}
