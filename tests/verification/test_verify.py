"""Whole verifications: of folders, pipelines and given text; tokenizers, exports, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import headway
from headway.api import Pipeline
from headway.bundle import Bundle
from headway.errors import FolderError, UserError
from headway.interop import exporters
from headway.interop.proof import Demand, Proof, ProofError, Texts
from headway.model.architectures import build
from headway.text.tokenizer import TokenizerConfig, Tokenizers, train_tokenizer
from headway.verification import exports
from headway.verification import subject as subject_module
from headway.verification.keeping import finite_numbers
from headway.verification.law import Law, Verification
from headway.verification.subject import Subject, evenly
from headway.verification.verify import COMPUTED
from headway.verification.vocabulary import round_trip
from tests.text.foreign import bert, gpt2

from .models import LINES, broken, subject_of

Runs = dict[str, Path]


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in {"ROWS": 2, "LONGEST": 12, "MOST_WRITTEN": 4}.items():
        monkeypatch.setattr(subject_module, name, most)


def test_a_run_is_verified_on_what_it_held_out(tiny_runs: Runs) -> None:
    found = headway.verify(tiny_runs["causal"])
    assert found.holds, found
    assert found.origin == "held out from training"
    assert found.computed == f"decoder, float32 on {'cuda' if torch.cuda.is_available() else 'cpu'}"
    lines = repr(found).splitlines()
    assert lines == found.lines()
    assert lines[0] == f"model   {tiny_runs['causal']}: {found.computed}"
    assert lines[-1] == f"{len(found.laws) - 1} laws checked, all hold"
    assert [law.name for law in found.laws if law.holds is None] == ["beam against greedy"]
    assert all(any(law.name in line for line in lines) for law in found.laws)


def test_a_pipeline_is_verified_as_it_is(tiny_runs: Runs) -> None:
    pipeline = headway.load(tiny_runs["masked"])
    whole = headway.verify(pipeline, ["bal bam ban", "bar bel"])
    assert whole.holds, whole
    assert (whole.model, whole.texts, whole.origin) == ("a pipeline", 2, "given lines")
    assert "files as listed" not in {law.name for law in whole.laws}
    next(pipeline.bundle.model.parameters()).data[7] = torch.inf
    damaged = headway.verify(pipeline)
    assert not damaged.holds
    assert [law.name for law in damaged.broken] == ["finite numbers"]
    assert len(damaged.laws) == 1, "nothing else can be checked"
    assert damaged.origin == "generated at random, not real text"


def test_a_file_of_pairs_gives_the_sources(tiny_runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("bol\tl o b\n\nkem\tm e k\n", "utf-8")
    found = headway.verify(tiny_runs["pairs"] / "model", tmp_path / "pairs.tsv")
    assert found.holds, found
    assert (found.texts, found.origin) == (2, "lines of pairs.tsv")
    assert {"source tokenizer", "target tokenizer"} <= {law.name for law in found.laws}


def test_weights_that_changed_after_they_were_listed_are_caught(tiny_runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_runs["causal"] / "model", folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    found = headway.verify(folder)
    assert not found.holds
    [law] = found.laws
    line = broken(law)
    assert "model.safetensors: its SHA-256 is not the" in line
    assert "nothing else was checked" in line
    assert found.lines()[-1] == "1 of 1 law broken: files as listed"


def test_what_cannot_be_verified_is_refused(tiny_runs: Runs, tmp_path: Path) -> None:
    for place, message in ((tmp_path / "nowhere", "no such model folder"), (tmp_path, "is no model folder")):
        with pytest.raises(FolderError, match=message):
            headway.verify(place)
    pairs = tiny_runs["pairs"]
    with pytest.raises(UserError, match="gguf cannot hold this model: it holds decoders only"):
        headway.verify(pairs, exports=["gguf"])
    with pytest.raises(UserError, match="--export transformer: did you mean 'transformers'"):
        headway.verify(pairs, exports=["transformer"])
    with pytest.raises(UserError, match="no line with text to verify on"):
        headway.verify(pairs, ["", "  "])
    both = headway.load(pairs, pairs)
    with pytest.raises(UserError, match="an ensemble is as right as its models"):
        headway.verify(both)


PROOF = Proof(
    opponent="other 1.0",
    origin="x",
    demand=Demand(),
    texts=3,
    difference=1e-6,
    greedy=1.0,
    beam=1.0,
    tokens=1.0,
)


def test_the_proof_of_an_export_is_a_law(tiny_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = headway.load(tiny_runs["causal"]).bundle
    monkeypatch.setattr(exports, "export_bundle", lambda *_: PROOF)
    law = exports.export_parity(bundle, "onnx", Texts(["x"], "x"))
    assert (law.name, law.holds) == ("exported to onnx", True)
    assert law.found.startswith("against: other 1.0; largest difference of a logit: 1e-06 of")
    assert law.figures["greedy"] == 1.0

    def fail(*_: object) -> None:
        raise ProofError(replace(PROOF, difference=0.5))

    monkeypatch.setattr(exports, "export_bundle", fail)
    assert "logits differ by 0.5 of their spread" in broken(
        exports.export_parity(bundle, "onnx", Texts([], ""))
    )


@pytest.mark.slow
def test_an_export_is_proved_where_it_is_asked_for(tiny_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    found = headway.verify(tiny_runs["causal"], exports=["transformers", "torch"])
    assert [law.name for law in found.laws[-2:]] == ["exported to transformers", "exported to torch"]
    assert found.holds, found
    good = exporters.WRITERS["transformers"]
    strict = Demand(difference=-1)
    monkeypatch.setitem(
        exporters.WRITERS, "transformers", lambda *given: exporters.Written(good(*given).opponent, strict)
    )
    found = headway.verify(tiny_runs["causal"], exports=["transformers"])
    assert [law.name for law in found.broken] == ["exported to transformers"]
    assert "logits differ by" in broken(found.laws[-1])


@pytest.mark.parametrize(
    ("config", "text", "stated"),
    [
        (TokenizerConfig(kind="bpe", vocab_size=300), "The  Cat\n sat", 0),
        (TokenizerConfig(kind="bpe", vocab_size=300, normalize="nfkc", lowercase=True), "The ﬁne Cat", 1),
        (TokenizerConfig(kind="characters", lowercase=True), "A mat", 1),
        (TokenizerConfig(kind="words"), "the cat", 0),
        (TokenizerConfig(kind="unigram", vocab_size=60), "the cat▁sat", 1),
        (TokenizerConfig(kind="symbols"), " the   cat ", 1),
    ],
    ids=lambda each: each.kind if isinstance(each, TokenizerConfig) else None,
)
def test_text_comes_back_as_it_was_or_as_stated(config: TokenizerConfig, text: str, stated: int) -> None:
    tokenizer = train_tokenizer(["the cat sat on a mat", text], config)
    law = round_trip(tokenizer, ["the cat", text], "tokenizer")
    assert law.holds, law
    assert law.figures["identical"] == 2 - stated
    assert law.figures["stated"] == 2


def test_a_tokenizer_that_loses_text_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = train_tokenizer(LINES, TokenizerConfig(kind="characters"))
    decode = tokenizer.decode
    monkeypatch.setattr(tokenizer, "decode", lambda ids: decode(ids).replace("mat", "MAT"))
    line = broken(round_trip(tokenizer, LINES, "tokenizer"))
    assert "not so 'the cat sat on a mat', which becomes 'the cat sat on a MAT'" in line


def test_unknown_symbols_are_counted_and_break_nothing() -> None:
    tokenizer = train_tokenizer(LINES, TokenizerConfig(kind="characters"))
    law = round_trip(tokenizer, ["a cat", "a zoo"], "tokenizer")
    assert law.holds
    assert (law.figures["unknown"], law.figures["tokens"], law.figures["with_unknown"]) == (1, 10, 1)
    assert "1 of 10 tokens (10.00%) are unknown" in law.found


def test_a_foreign_tokenizer_states_nothing() -> None:
    law = round_trip(bert(), ["the quick, Fox", "the dog"], "tokenizer")
    assert law.holds is None
    assert law.figures["identical"] == 1


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_models_without_a_token_to_begin_or_to_mask_with(kind: str) -> None:
    old = subject_of(kind).bundle
    config = replace(old.config, vocab_size=gpt2().vocab_size)
    bundle = Bundle(config, build(config).eval(), Tokenizers(None, gpt2()), old.meta)
    subject = Subject(Pipeline(bundle), Texts(["the quick brown fox", "it"], "given lines"))
    for check in (finite_numbers, *COMPUTED[subject.architecture]):
        law = check(subject)
        assert law.holds is not False, law


def test_the_same_rows_are_chosen_evenly() -> None:
    assert evenly(0, 9, 4) == [0, 3, 6, 9]
    assert evenly(2, 4, 10) == [2, 3, 4]
    assert evenly(3, 3, 5) == [3]
    assert evenly(1, 0, 5) == []


def test_json_has_every_figure_and_no_nan() -> None:
    law = Law(name="x", holds=False, found="y", figures={"difference": float("nan"), "rows": 2})
    found = Verification(model="m", computed="", texts=0, origin="", laws=(law,))
    table = json.loads(found.to_json())
    assert table["holds"] is False
    assert table["laws"] == [
        {"name": "x", "holds": False, "found": "y", "figures": {"difference": None, "rows": 2}}
    ]
