from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import headway
from headway import api
from headway.decoding.processes import Lines, Work
from headway.errors import FolderError, RecipeError, UserError
from tests.tiny import train_tiny

Runs = dict[str, Path]


def test_public_names_are_there() -> None:
    assert {name: getattr(headway, name).__name__ for name in headway.__all__} == {
        name: name for name in headway.__all__
    }
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = headway.nothing


def test_an_encoder_decoder_predicts_scores_and_embeds(tiny_runs: Runs) -> None:
    model = headway.load(tiny_runs["pairs"])
    one, several = model.predict("bal"), model.predict(["bal", "dem", ""])
    assert several[0] == one
    assert several[2] == ""
    best = model.hypotheses(["bal"])[0][0]
    scored = model.score([best.text], sources=["bal"])[0]
    assert scored.total == pytest.approx(sum(best.log_probs), abs=1e-4)
    assert model.embed("bal").shape == (32,)
    together = model.embed(["bal", "demokratie"])
    np.testing.assert_allclose(together[0], model.embed("bal"), atol=1e-5)


def test_a_masked_model_fills_and_embeds(tiny_runs: Runs) -> None:
    model = headway.load(tiny_runs["masked"])
    filled = model.predict("bal ___ ban")
    assert filled.startswith("bal ")
    assert filled.endswith(" ban")
    assert "___" not in filled
    assert len(model.fill(["a ___ c ___"], candidates=3)[0].blanks) == 2
    long = " ".join(["bal bam ban"] * 40)
    assert np.isfinite(model.embed(long)).all()


def test_a_causal_model_continues_and_streams_the_same(tiny_runs: Runs) -> None:
    model = headway.load(tiny_runs["causal"]).with_search({"method": "greedy", "max_length": 12})
    assert "".join(model.stream("bal bam")) == model.predict("bal bam")
    with pytest.raises(UserError, match="no encoder"):
        model.embed("bal")


def test_settings_of_the_search_are_checked(tiny_runs: Runs) -> None:
    model = headway.load(tiny_runs["pairs"])
    with pytest.raises(RecipeError, match="did you mean 'beams'"):
        model.with_search({"beam": 3})
    assert model.with_overrides(["beams=2"]).search.beams == 2
    assert model.search.beams != 2


def test_two_models_make_an_ensemble_if_they_read_alike(tiny_runs: Runs, tmp_path: Path) -> None:
    same = headway.load(tiny_runs["pairs"], tiny_runs["pairs"])
    assert same.predict(["bal", "gon"]) == headway.load(tiny_runs["pairs"]).predict(["bal", "gon"])
    other = train_tiny("pairs", tmp_path, 5, "text.target.lowercase=true").folder.path
    with pytest.raises(UserError, match="tokenizer"):
        headway.load(tiny_runs["pairs"], other)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="nowhere"):
        headway.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match="name the folder"):
        headway.load()


def test_one_text_has_one_score(tiny_runs: Runs) -> None:
    causal, pairs = headway.load(tiny_runs["causal"]), headway.load(tiny_runs["pairs"])
    assert causal.score("bal bam") == causal.score(["bal bam"])[0]
    assert pairs.score("l a b", "bal") == pairs.score(["l a b"], ["bal"])[0]


def test_settings_without_effect_are_refused(tiny_runs: Runs) -> None:
    masked = headway.load(tiny_runs["masked"])
    with pytest.raises(UserError, match="beams: has no effect"):
        masked.with_search({"beams": 2})
    with pytest.raises(UserError, match="n_best: has no effect"):
        masked.with_overrides(["n_best=2"])
    assert masked.with_overrides(["batch_tokens=99"]).search.batch_tokens == 99


def test_devices_have_names(tiny_runs: Runs) -> None:
    for name in ("gpu", "cuda:0"):
        with pytest.raises(UserError, match="choose from auto, cpu, cuda, mps"):
            headway.load(tiny_runs["pairs"], device=name)


def test_texts_one_after_the_other_in_bounded_memory(
    tiny_runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = headway.load(tiny_runs["pairs"])
    monkeypatch.setattr(api, "PART", 2)
    read: list[str] = []

    def texts() -> Iterator[str]:
        for text in ["bal", "dem", "gon", "kur", "bil"]:
            read.append(text)
            yield text

    answers = model.predict_each(texts())
    assert next(answers) == model.predict("bal")
    assert read == ["bal", "dem"]
    assert [next(answers) for _ in range(4)] == model.predict(["dem", "gon", "kur", "bil"])


def test_processes_are_started_where_they_repay_it(tiny_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    model = headway.load(tiny_runs["pairs"]).with_search({"beams": 2})
    asked: list[int] = []

    def in_processes(open_work: Callable[[], Work], parts: Iterable[Lines], count: int) -> Iterator[Lines]:
        asked.append(count)
        return map(open_work(), parts)

    monkeypatch.setattr(api, "in_processes", in_processes)
    monkeypatch.setattr(api, "PART", 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    few, many = ["bal", "dem"], ["bal", "dem", "gon", "kur", "bil"]
    expected = model.predict(many)
    parameters = sum(weight.numel() for weight in model.bundle.model.parameters())
    assert list(model.predict_each(many, "auto")) == expected
    assert asked == []
    monkeypatch.setattr(api, "WORK_THAT_PAYS", parameters * 2 * 15)
    assert list(model.predict_each(few, "auto")) == expected[:2]
    assert asked == []
    assert list(model.predict_each(many, "auto")) == expected
    assert asked == [3]
    assert list(model.predict_each(few, 2)) == expected[:2]
    assert asked == [3, 2]
    with pytest.raises(UserError, match="opened again"):
        list(api.Pipeline(model.bundle).predict_each(few, 2))


def test_eight_bits_say_nearly_the_same(tiny_runs: Runs) -> None:
    plain, rough = (headway.load(tiny_runs["pairs"], precision=each) for each in ("float32", "int8"))
    assert rough.predict(["bal", "dem"]) == plain.predict(["bal", "dem"])
    [[[a]], [[b]]] = (model.hypotheses(["bal"]) for model in (plain, rough))
    assert a.score != b.score
    assert b.score == pytest.approx(a.score, abs=0.2)
    with pytest.raises(UserError, match="did you mean 'int8'"):
        headway.load(tiny_runs["pairs"], precision="int4")
