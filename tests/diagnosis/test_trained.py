"""Models that are trained badly on purpose, and what is found; one that is trained well, and nothing is."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headway.bundle import load_bundle, save_bundle
from headway.diagnosis import examine
from headway.diagnosis.examination import findings_in
from headway.diagnosis.history import read_history
from headway.diagnosis.watch import FINDINGS
from headway.launch import train
from headway.model.attention import Attention
from tests.tiny import PAIRS, WORDS, train_tiny, write_pairs

OFTEN = ["training.report_every=1", "training.samples=8", "training.validate_every=20"]

Pairs = list[tuple[str, str]]

pytestmark = pytest.mark.slow


def trained(folder: Path, pairs: Pairs, *more: str, asked: Pairs | None = None, steps: int = 60) -> list[str]:
    """What is found of a model of these pairs, a twelfth of which is held out, or of what is asked of it."""
    data, held_out = folder / "data.tsv", folder / "asked.tsv"
    data.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), "utf-8")
    held_out.write_text("".join(f"{source}\t{target}\n" for source, target in asked or pairs[::11]), "utf-8")
    files = [f'data.train=["{data}"]', f'data.valid=["{held_out}"]']
    overrides = [*files, *PAIRS, *OFTEN, f"stop.steps={steps}", *more]
    train("pairs", overrides=overrides, out=folder / "run", say=lambda line: None)
    return [finding.sign for finding in examine(folder / "run")]


def spelled(word: str) -> str:
    return " ".join(word)


BACKWARDS = [(word, spelled(word[::-1])) for word in WORDS]


def test_nothing_is_found_of_a_good_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trained(tmp_path, BACKWARDS, steps=80) == []
    assert "warning" not in capsys.readouterr().err
    assert not (tmp_path / "run" / FINDINGS).exists()


def test_a_rate_of_one_diverges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = trained(tmp_path, BACKWARDS, "optimizer.rate=1")
    assert {"divergence", "gradient always clipped"} <= set(found)
    assert "warning: divergence: the training loss rose from" in capsys.readouterr().err


def test_a_rate_too_high_loses_what_it_had(tmp_path: Path) -> None:
    assert trained(tmp_path, BACKWARDS, "optimizer.rate=0.3", "schedule.warmup=20", steps=100) == [
        "rate too high"
    ]


def test_a_rate_too_low_goes_nowhere_and_its_outputs_never_end(tmp_path: Path) -> None:
    found = trained(tmp_path, BACKWARDS, "optimizer.rate=1e-6")
    assert {"rate too low", "collapse", "no end token"} <= set(found)


def test_a_warm_up_of_one_step_is_too_short(tmp_path: Path) -> None:
    falling = ["schedule.kind=linear", "schedule.warmup=1", "optimizer.rate=0.5"]
    assert "warm-up too short" in trained(tmp_path, BACKWARDS, *falling, steps=100)


def test_targets_without_a_reason_are_learned_by_heart(tmp_path: Path) -> None:
    letters = random.Random(1)
    pairs = [(word, " ".join(letters.choices("abcdefgh", k=3))) for word in WORDS]
    free = ["model.dropout=0", "training.label_smoothing=0"]
    assert trained(tmp_path, pairs, *free, steps=80) == ["over-fitting"]


def test_a_clip_far_below_all_gradients(tmp_path: Path) -> None:
    assert trained(tmp_path, BACKWARDS, "optimizer.clip=0.01") == ["gradient always clipped"]


def test_heads_that_look_at_nothing_in_particular(tmp_path: Path) -> None:
    """A model without queries, trained on at a rate that gives it none."""
    bundle = load_bundle(train_tiny("pairs", tmp_path, 20).folder.model)
    for module in bundle.model.modules():
        if isinstance(module, Attention):
            for parameter in module.query.parameters():
                torch.nn.init.zeros_(parameter)
    save_bundle(bundle, tmp_path / "blank", "")
    more = ["optimizer.rate=1e-9", "schedule.warmup=5", "stop.steps=60", "stop.minutes=0"]
    data, start = tmp_path / "pairs.tsv", tmp_path / "blank"
    train(data, overrides=[*OFTEN, *more], out=tmp_path / "run", start_from=start, say=lambda line: None)
    assert "dead heads" in [finding.sign for finding in examine(tmp_path / "run")]


def test_what_learns_from_copies_copies(tmp_path: Path) -> None:
    copies = [(spelled(word), spelled(word)) for word in WORDS]
    asked = [(spelled(word), spelled(word[::-1])) for word in WORDS[::11]]
    more = ["text.source.kind=symbols", "training.final=last"]
    assert "copying" in trained(tmp_path, copies, *more, asked=asked, steps=120)


def test_a_run_whose_outputs_were_empty(tmp_path: Path) -> None:
    """Empty targets are refused, so the samples of a real run are emptied."""
    train(write_pairs(tmp_path), overrides=[*PAIRS, *OFTEN, "stop.steps=60"], out=tmp_path / "run")
    history = read_history(tmp_path / "run")
    empty = [
        replace(look, samples=[replace(sample, prediction="") for sample in look.samples])
        for look in history.looks
    ]
    assert "empty outputs" in [f.sign for f in findings_in(replace(history, looks=empty))]
