import json
from pathlib import Path

from tests.commands.program import headway, refused
from tests.tiny import WORDS, write_pairs

Runs = dict[str, Path]


def test_figures_as_table_and_json(tiny_runs: Runs, tmp_path: Path) -> None:
    data, written = write_pairs(tmp_path), tmp_path / "outputs.txt"
    done = headway("evaluate", tiny_runs["pairs"], data, "--json", "--output", written)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["examples"] == len(WORDS)
    assert {each["name"] for each in found["systems"]["model"]} >= {"word error rate", "exact match"}
    assert len(written.read_text("utf-8").splitlines()) == len(WORDS)
    table = headway("evaluate", tiny_runs["pairs"], data).stdout
    assert "word error rate" in table
    assert "copy the source" in table


def test_a_second_model_is_compared(tiny_runs: Runs, tmp_path: Path) -> None:
    done = headway(
        "evaluate", tiny_runs["pairs"], write_pairs(tmp_path), "--against", tiny_runs["pairs"], "--json"
    )
    assert {each["p_value"] for each in json.loads(done.stdout)["comparisons"]} == {1.0}


def test_mistakes_get_one_message(tiny_runs: Runs, tmp_path: Path) -> None:
    assert "name the data" in refused(headway("evaluate", tiny_runs["pairs"]))
    (tmp_path / "bad.tsv").write_text("a\tb\nno tab here\n", "utf-8")
    message = refused(headway("evaluate", tiny_runs["pairs"], tmp_path / "bad.tsv"))
    assert "bad.tsv, line 2" in message
    assert "missing tab" in message
