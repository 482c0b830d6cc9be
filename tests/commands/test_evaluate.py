import json
import shutil
from pathlib import Path

import pytest

from headway.launch import train
from headway.sweep import train_seeds
from tests.commands.program import headway, refused
from tests.tiny import PAIRS, WORDS, write_pairs

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
    assert "copy the" in table


def test_a_second_model_is_compared(tiny_runs: Runs, tmp_path: Path) -> None:
    done = headway(
        "evaluate", tiny_runs["pairs"], write_pairs(tmp_path), "--against", tiny_runs["pairs"], "--json"
    )
    comparisons = json.loads(done.stdout)["comparisons"]
    assert {each["p_value"] for each in comparisons} == {1.0}
    names = {"word error rate", "symbol error rate", "exact match"}
    assert {each["name"] for each in comparisons} == names
    assert {each["in_words"] for each in comparisons} == {"there is no difference"}


def test_mistakes_get_one_message(tiny_runs: Runs, tmp_path: Path) -> None:
    assert "name the data" in refused(headway("evaluate", tiny_runs["pairs"]))
    (tmp_path / "bad.tsv").write_text("a\tb\nno tab here\n", "utf-8")
    message = refused(headway("evaluate", tiny_runs["pairs"], tmp_path / "bad.tsv"))
    assert "bad.tsv, line 2" in message
    assert "missing tab" in message


def test_data_are_read_as_the_run_read_them(tmp_path: Path) -> None:
    rows = [json.dumps({"from": word, "to": " ".join(word)}) + "\n" for word in WORDS]
    data = tmp_path / "words.jsonl"
    data.write_text("".join(rows) + "broken\n", "utf-8")
    fields = ["data.source_field=from", "data.target_field=to", "data.bad_lines=skip"]
    run = train(data, overrides=[*PAIRS, *fields, "stop.steps=2"], out=tmp_path / "run", say=lambda _: None)
    found = headway("evaluate", run.folder.path, data, "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["examples"] == len(WORDS)
    inside = headway("evaluate", run.folder.model, data, "--json")
    assert json.loads(inside.stdout) == json.loads(found.stdout), "the model folder lies in its run"
    alone = shutil.copytree(run.folder.model, tmp_path / "alone")
    assert "words.jsonl, line 1" in refused(headway("evaluate", alone, data))
    same = headway("evaluate", alone, data, "--json", *fields)
    assert json.loads(same.stdout) == json.loads(found.stdout)
    stopped = headway("evaluate", run.folder.path, data, "data.bad_lines=stop")
    assert f"words.jsonl, line {len(WORDS) + 1}" in refused(stopped)


def test_what_cannot_be_done_is_said_before_the_work(tiny_runs: Runs, tmp_path: Path) -> None:
    data = write_pairs(tmp_path)
    pairs, causal, nothing = tiny_runs["pairs"], tiny_runs["causal"], tmp_path / "nothing.tsv"
    for output, message in ((tmp_path, "is a folder"), (tmp_path / "no" / "out.txt", "no such folder")):
        assert message in refused(headway("evaluate", pairs, nothing, "--output", output))
    assert "only an encoder-decoder" in refused(headway("evaluate", causal, nothing, "--output", data))
    assert "beams: has no effect" in refused(headway("evaluate", causal, data, "beams=2"))
    assert "did you mean 'bad_lines'" in refused(headway("evaluate", causal, data, "data.bad_line=skip"))


def test_several_seeds_are_evaluated_with_their_spread(tmp_path: Path) -> None:
    data, sweep = write_pairs(tmp_path), tmp_path / "sweep"
    overrides = [*PAIRS, "stop.steps=3", f"data.train={data}"]
    train_seeds("pairs", seeds=2, overrides=overrides, out=sweep, say=lambda _: None)
    found = json.loads(headway("evaluate", sweep, data, "--json").stdout)
    alone = json.loads(headway("evaluate", sweep / "seed-2", data, "--json").stdout)
    assert found["seeds"]["seed 2"] == alone
    rates = {each["name"]: each for each in found["measures"]}["symbol error rate"]
    first, second = rates["values"]
    assert second == alone["systems"]["model"][1]["value"]
    assert rates["mean"] == pytest.approx((first + second) / 2)
    assert rates["deviation"] == pytest.approx(abs(first - second) / 2**0.5)
    table = headway("evaluate", sweep, data).stdout
    assert "seed 1" in table
    assert "deviation" in table
    assert "for a single run" in refused(headway("evaluate", sweep, data, "--against", sweep / "seed-1"))


def test_what_eight_bits_cost_is_told(tiny_runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text("bal\tl a b\ndem\tm e d\n", "utf-8")
    pairs = tiny_runs["pairs"]
    done = headway("evaluate", pairs, tmp_path / "test.tsv", "--precision", "int8", "--against", pairs)
    assert done.returncode == 0, done.stderr
    assert "other" in done.stdout
    wrong = headway("evaluate", pairs, tmp_path / "test.tsv", "--precision", "int4")
    assert "did you mean 'int8'" in refused(wrong)
