"""Quality runs: data become pairs, rows are made once and shown, and so is what is missing."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny import CAUSAL, write_text

from headway.api import load
from headway.data.corpus import DataConfig
from headway.data.prepare import prepare
from headway.launch import train
from headway.text.tokenizer import TextConfig, TokenizerConfig

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import quality
import quality_reference
from quality_characters import character_loss
from quality_data import corpus, lemma_and_features, made_up, names_in, spelled
from quality_tables import tables

import planning

pytestmark = pytest.mark.slow


def test_files_become_pairs(tmp_path: Path) -> None:
    made_up(tmp_path / "data")
    names = ["g2p/dut", "inflect/deu", "letters/deu", "scan/simple", "shakespeare", "translate"]
    assert names_in(tmp_path / "data") == names
    assert lemma_and_features("Haus\tN;DAT(PL)\tHäusern") == ("Haus N;DAT(PL)", "Häusern")
    line = "Aa machen\tV;NOM(2,PL)\tmacht Aa"
    assert spelled(line) == ("A a _ m a c h e n V NOM ( 2 PL )", "m a c h t _ A a")
    for name in names:
        with_dev = corpus(tmp_path / "data", name, tmp_path, with_dev=True)
        assert with_dev.dev is not None
        parts = [each.read_text("utf-8") for each in (with_dev.train, with_dev.dev, with_dev.test)]
        assert all(parts)
        whole = corpus(tmp_path / "data", name, tmp_path, with_dev=False)
        assert whole.test.read_text("utf-8") == parts[2]
        if whole.dev is None:
            assert len(whole.train.read_text("utf-8")) == len(parts[0]) + len(parts[1])
    text = (tmp_path / "data" / "shakespeare" / "input.txt").read_text("utf-8")
    assert "".join(parts_of(tmp_path, "shakespeare")) == text
    assert parts_of(tmp_path, "scan/simple")[0].startswith("jump bal\tJUMP bal\n")


def parts_of(work: Path, name: str) -> list[str]:
    found = corpus(work / "data", name, work, with_dev=False)
    return [each.read_text("utf-8") for each in (found.train, found.test)]


def row(data: str, seed: int = 1, value: float = 20.0, system: str = "headway") -> dict[str, Any]:
    measure = {
        "name": "word error rate",
        "value": value,
        "low": 18.0,
        "high": 22.0,
        "unit": "%",
        "signature": "",
    }
    return {
        "data": data,
        "seed": seed,
        "minutes": 10,
        "system": system,
        "threads": 2,
        "test_reads": 1,
        "parameters": 1000,
        "steps": 10,
        "epochs": 2.0,
        "tokens_per_second": 100,
        "measure": measure,
        "machine": {"processor": "a processor", "torch": "2"},
    }


def test_the_table_shows_what_is_missing() -> None:
    text = tables([row("g2p/dut", value=16.0), row("g2p/dut", 2, 18.0), row("g2p/kor", value=30.0)])
    lines = {line.split(" |")[0]: line for line in text.splitlines()}
    assert "16.00 (18.00–22.00) | 2: 17.00 ± 1.41 (16.00–18.00) | Transformer: 15.78" in lines["| g2p/dut"]
    assert "| missing |" in lines["| g2p/hun"]
    assert "| 23.00 |" in lines["| mean of 2 of 15"], "of the first seed alone"
    assert "Transformer: 17.51" in lines["| mean of 2 of 15"]


def test_rows_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[quality.Job] = []

    def make(job: quality.Job, folder: Path, work: Path, programs: Any) -> dict[str, Any]:
        made.append(job)
        return {**row(job.data), **job.key(), "test_reads": job.reads + 1}

    monkeypatch.setattr(quality, "run_job", make)
    typed = ["--quick", "--out", str(tmp_path), "--only", "g2p", "--seeds", "1,2"]
    assert quality.main(typed) == quality.main(typed) == 0
    assert [(job.data, job.seed, job.threads) for job in made] == [("g2p/dut", 1, 0), ("g2p/dut", 2, 0)]
    assert quality.main([*typed, "--again", "--at-once", "2"]) == 0
    assert [(job.reads, job.threads) for job in made[2:]] == [(1, 1), (1, 1)]
    rows = json.loads((tmp_path / "quality.json").read_text("utf-8"))["rows"]
    assert [each["test_reads"] for each in rows] == [2, 2]
    with pytest.raises(SystemExit):
        quality.main(["--quick"])


def test_each_character_is_predicted_once_with_what_its_window_shows(tmp_path: Path) -> None:
    (tmp_path / "valid.txt").write_text("bal bam\n", "utf-8")
    data = [f"data.train={write_text(tmp_path)}", f"data.valid={tmp_path / 'valid.txt'}", "data.layout=file"]
    overrides = [*CAUSAL, *data, "stop.steps=2"]
    characters = [each for each in overrides if "vocab" not in each] + ["text.target.kind=characters"]
    run = train("causal", overrides=characters, out=tmp_path / "run", say=lambda line: None)
    pipeline, text = load(run.folder.path), "bal bam\nkul"
    found = character_loss(pipeline, text, 4)
    tokenizer = pipeline.bundle.tokenizers.target
    ids = [2, *tokenizer.encode(text)]
    costs = []
    with torch.no_grad():
        for place in range(len(text)):
            seen = torch.tensor([ids[place // 4 * 4 : place + 1]])
            model = pipeline.bundle.model
            from headway.batch import Tokens

            logits = model.logits(model(Tokens(seen), None))[0, -1, : tokenizer.vocab_size]
            costs.append(-float(logits.log_softmax(-1)[ids[place + 1]]))
    assert found["value"] == pytest.approx(np.mean(costs), rel=1e-4)
    assert found["signature"] == "context 4, 3 windows, 11 characters"


def test_the_reference_trains_and_translates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"D_MODEL": 16, "LAYERS": 1, "HEADS": 2, "TIMED": 1}.items():
        monkeypatch.setattr(quality_reference, name, value)
    made_up(tmp_path)
    data = DataConfig(train=(str(tmp_path / "translate" / "deu-eng.train.tsv"),), layout="pairs")
    text = TextConfig(target=TokenizerConfig(kind="bpe", vocab_size=300))
    prepared = prepare(data, text, pairs=True, folder=tmp_path / "e", seed=1, progress=lambda line: None)
    reference, found = quality_reference.train(prepared, 0.001, 1, 200)
    assert found["steps"] >= 1
    outputs = quality_reference.translate(reference, prepared, ["das bal ist.", "das"], 2)
    assert len(outputs) == 2
    rates = [quality_reference.rate(step) for step in (500, 1000, 4000)]
    assert rates[1] == pytest.approx(2 * rates[0]) == pytest.approx(2 * rates[2])


def test_variations_are_trained_and_set_beside_the_base(tmp_path: Path) -> None:
    typed = ["--quick", "--only", "g2p", "--base-seeds", "1", "--at-once", "1", "--out", str(tmp_path)]
    typed += ["--work", str(tmp_path / "runs")]
    assert planning.main(typed) == 0
    rows = json.loads((tmp_path / "planning.json").read_text("utf-8"))["rows"]
    assert [each["variation"] for each in rows] == ["adamw", "base"]
    assert all(each["measure"]["name"] == "word error rate" for each in rows)
    assert str(tmp_path) not in json.dumps(rows)
    assert "one seed tells nothing" in (tmp_path / "planning.md").read_text("utf-8")
    before = (tmp_path / "planning.json").stat().st_mtime_ns
    assert planning.main(typed) == 0
    assert (tmp_path / "planning.json").stat().st_mtime_ns == before, "what is done is not done again"
