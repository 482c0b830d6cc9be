"""`headway verify`, as a person or a pipeline of programs uses it."""

import json
import shutil
from pathlib import Path

import pytest

from headway.verification import subject as subject_module
from tests.commands.program import headway, refused

Runs = dict[str, Path]


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in {"ROWS": 2, "LONGEST": 12, "MOST_WRITTEN": 4}.items():
        monkeypatch.setattr(subject_module, name, most)


def test_a_line_a_law_and_status_0(tiny_runs: Runs) -> None:
    done = headway("verify", tiny_runs["masked"])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1] == "text    2 texts, held out from training"
    assert [line.split()[0] for line in lines[2:-1]] == ["holds"] * (len(lines) - 3)
    assert lines[-1] == f"{len(lines) - 3} laws checked, all hold"


def test_a_broken_law_has_status_1(tiny_runs: Runs, tmp_path: Path) -> None:
    shutil.copytree(tiny_runs["masked"] / "model", tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").write_text("{}", "utf-8")
    done = headway("verify", tmp_path / "model")
    assert (done.returncode, done.stderr) == (1, "")
    assert "BROKEN  files as listed: " in done.stdout
    assert "tokenizer.json: has 2 bytes where" in done.stdout
    table = json.loads(headway("verify", tmp_path / "model", "--json").stdout)
    assert (table["holds"], table["laws"][0]["figures"]) == (False, {"files": 3, "wrong": 1})


def test_mistakes_have_status_2(tiny_runs: Runs, tmp_path: Path) -> None:
    assert "no such model folder" in refused(headway("verify", tmp_path / "nowhere"))
    text = refused(headway("verify", tiny_runs["masked"], "--text", tmp_path / "nowhere"))
    assert text.endswith("nowhere: cannot be read: No such file or directory")
    assert "gguf cannot hold this model" in refused(
        headway("verify", tiny_runs["masked"], "--export", "onnx", "--export", "gguf")
    )
    assert "there is no device 'tpu'" in refused(headway("verify", tiny_runs["masked"], "--device", "tpu"))
