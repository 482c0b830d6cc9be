"""Table 3 in miniature: rows follow one rule, are trained once, and are told from noise."""

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headway.model.presets import TABLE_3, preset_config
from headway.run_folder import RunFolder

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import table3
from table3 import QUICK, ROWS, SHAPE, Figure, Settings, changes, recipe_of, with_seeds

pytestmark = pytest.mark.slow

WORDS = [f"{a}{b}{c}" for a in "bdgk" for b in "aeiou" for c in "lmnr"]
DICTIONARY = "".join(f"{word} {' '.join(word.upper())}\n" for word in WORDS)


def test_every_row_is_scaled_by_one_rule() -> None:
    for row in ROWS:
        paper = preset_config(row.preset, 1000)
        here = recipe_of(row, Settings(), Path("data")).model
        sizes = [(c.d_model, c.d_ff, c.d_key, c.d_value) for c in (paper, here)]
        assert [8 * size for size in sizes[1]] == list(sizes[0]), row.name
        layers = [(c.encoder_layers, c.decoder_layers) for c in (paper, here)]
        assert [2 * count for count in layers[1]] == list(layers[0]), row.name
        for kept in (SHAPE["h"], SHAPE["P_drop"], SHAPE["positions"]):
            assert kept(here) == kept(paper), row.name
        assert (here.norm, here.activation) == (paper.norm, paper.activation)


def test_the_rows_are_those_of_the_paper() -> None:
    assert {row.preset for row in ROWS} == set(TABLE_3)
    assert [row.smoothing for row in ROWS if row.smoothing != 0.1] == [0.0, 0.2]
    assert len({row.run for row in ROWS}) == len(ROWS)
    steps = {recipe_of(row, Settings(), Path("data")).stop.steps for row in ROWS}
    assert len(steps) == 1, "all are trained equally long"
    changed = [changes(row, Settings()) for row in ROWS if row.group != "base"]
    assert len(set(changed)) == len(changed)
    assert changes(ROWS[2], Settings()) == "h 1, d_k 512 → 64, d_v 512 → 64"
    assert "ε_ls 0.2" in changed


def test_more_seeds_are_more_runs_of_the_same_rows() -> None:
    rows = with_seeds(ROWS, 2)
    assert rows[: len(ROWS)] == list(ROWS)
    single = {row.name for row in ROWS} - {"base"}
    assert sorted(row.name for row in rows[len(ROWS) :]) == sorted(single), "the base model has two as it is"
    assert len({row.run for row in rows}) == len(rows)


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command's arguments, for two seeds of the base model on made-up words, in a folder of their own."""
    monkeypatch.setattr(table3, "ROWS", (ROWS[0], ROWS[-1]))
    monkeypatch.setattr(table3, "installed_text", lambda package, file: DICTIONARY)
    return ["--quick", "--workers", "1", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path)]


def result(row: table3.Row, perplexity: float = 2.0) -> dict[str, Any]:
    errors = {"word error rate": [50.0, 45.0, 55.0]}
    figures = {"parameters": 1000, "perplexity": perplexity, "errors": errors, "epochs": 2.0}
    return {"row": row.name, "seed": row.seed, **figures}


def test_rows_are_trained_and_judged(few: list[str], tmp_path: Path) -> None:
    assert table3.main(few) == 0
    content = json.loads((tmp_path / "table3.json").read_text("utf-8"))
    assert content["settings"] == asdict(QUICK)
    first, last = content["rows"]
    assert (first["row"], first["seed"], last["seed"]) == ("base", 1, ROWS[-1].seed)
    assert first["parameters"] > 10_000
    assert 1 < first["perplexity"] < math.inf
    assert first["perplexity"] != last["perplexity"], "another seed is another model"
    assert 0 <= first["errors"]["word error rate"][0] <= 100
    data = tmp_path / "runs" / QUICK.name / "data"
    held_out = {line.split("\t")[0] for line in (data / "test.tsv").read_text("utf-8").splitlines()}
    learned = {line.split("\t")[0] for line in (data / "train.tsv").read_text("utf-8").splitlines()}
    assert (len(held_out), learned & held_out) == (QUICK.held_out, set())
    assert "| base | 4.92 |" in (tmp_path / "table3.md").read_text("utf-8")


def test_what_is_done_is_not_done_again(
    few: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def stops_at_the_second(row: table3.Row, settings: Settings, runs: Path) -> dict[str, Any] | None:
        asked.append(row.seed)
        return None if asked == [1, 5] else result(row)

    monkeypatch.setattr(table3, "run_row", stops_at_the_second)
    assert table3.main(few) == 130, "it was asked to stop"
    assert not (tmp_path / "table3.md").exists()
    assert table3.main(few) == 0
    assert asked == [1, 5, 5]
    assert table3.main(few) == 0
    assert asked == [1, 5, 5]
    content = json.loads((tmp_path / "table3.json").read_text("utf-8"))
    content["settings"]["steps"] += 1
    (tmp_path / "table3.json").write_text(json.dumps(content), "utf-8")
    assert table3.main(few) == 0
    assert asked == [1, 5, 5, 1, 5], "with other settings all are"


def test_an_interrupted_row_goes_on(few: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, row = tmp_path / "runs", ROWS[0]
    began = RunFolder(runs / QUICK.name / row.run)
    began.path.mkdir(parents=True)
    began.recipe.write_text("", "utf-8")
    gone_on: list[Path] = []

    def stopped(folder: Path, say: Any) -> Any:
        gone_on.append(folder)
        return type("Outcome", (), {"exit_status": 130})()

    monkeypatch.setattr(table3, "go_on", stopped)
    assert table3.run_row(row, QUICK, runs) is None
    assert gone_on == [began.path]


def figure(base: list[float], **others: float) -> Figure:
    """Perplexities of the base model's seeds and of other rows, in the paper 1, 2, … in the order given."""
    here = {"base": base, **{name: [value] for name, value in others.items()}}
    return Figure(-1, {name: float(place) for place, name in enumerate(here)}, here)


def test_seeds_alone_make_as_large_a_difference_in_one_of_twenty() -> None:
    draws = np.random.default_rng(1).normal(2.0, 0.1, (2000, 6)).tolist()
    found = [figure(base, other=other) for *base, other in draws]
    near = [abs(each.mean("other") - each.mean("base")) <= each.noise("other", "base") for each in found]
    assert 0.935 < sum(near) / len(near) < 0.965
    assert figure([2.0], other=3.0).noise("other", "base") == math.inf, "one seed tells nothing of noise"


def test_orders_are_told_only_beyond_the_noise() -> None:
    found = figure([2.0, 2.01, 1.99], worse=3.0, better=1.0, near=2.01)
    assert found.order("worse", "base") == found.order("base", "worse") == "as in the paper"
    assert found.order("better", "base") == "other than in the paper"
    assert found.order("near", "base") == "too close to tell"
    bleu = Figure(1, {"base": 25.0, "good": 26.0}, {"base": [50.0, 50.1], "good": [40.0]})
    assert bleu.order("good", "base") == "as in the paper", "fewer errors beside a higher BLEU"
    equal = Figure(-1, {"base": 4.92, "learned": 4.92}, {"base": [2.0, 2.1], "learned": [2.05]})
    assert equal.order("learned", "base") == "too close to tell", "not seen is not shown"
    far = Figure(-1, {"base": 4.92, "learned": 4.92}, {"base": [2.0, 2.1], "learned": [9.0]})
    assert far.order("learned", "base") == "other than in the paper"


def test_the_tables_go_into_the_page(tmp_path: Path) -> None:
    content = {
        "machine": {"processor": "a processor", "torch": "2"},
        "rows": [result(row, row.perplexity + row.seed / 100) for row in ROWS],
    }
    page = tmp_path / "page.md"
    page.write_text(table3.PAGE.read_text("utf-8"), "utf-8")
    table3.report(content, Settings(), tmp_path, page)
    text = page.read_text("utf-8")
    assert text.count("| A | h ") == 4
    assert "| C | d_model 256 → 32" in text
    assert "| all | perplexity | 190 |" in text, "each pair of twenty rows"
    table3.report(content, Settings(), tmp_path, page)
    assert page.read_text("utf-8") == text, "putting it in again changes nothing"


def test_what_means_nothing_stays_out_of_the_repository(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        table3.main(["--quick"])
    assert "--quick needs --out FOLDER" in capsys.readouterr().err
