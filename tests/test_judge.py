import json
import lzma
import math
from pathlib import Path

import pytest

from headway.api import load
from headway.data.corpus import DataConfig
from headway.errors import UserError
from headway.judge import Judged, judge
from tests.tiny import train_tiny, write_pairs, write_text

Runs = dict[str, Path]


def figures(judged: Judged, system: str = "model") -> dict[str, float]:
    return {measure.name: measure.value for measure in judged.evaluation.systems[system]}


def test_pairs_of_symbols_are_right_or_wrong(tiny_runs: Runs, tmp_path: Path) -> None:
    judged = judge(load(tiny_runs["pairs"]), DataConfig(train=(str(write_pairs(tmp_path)),)))
    model = figures(judged)
    right = [
        output in references for output, references in zip(judged.outputs, judged.references, strict=True)
    ]
    assert model["exact match"] == pytest.approx(100 * sum(right) / len(right))
    assert model["word error rate"] == pytest.approx(100 - model["exact match"])
    assert set(judged.evaluation.systems) == {"model", "copy the source", "commonest output"}
    assert figures(judged, "copy the source")["word error rate"] == 100


def test_several_targets_of_a_source_are_all_right(tiny_runs: Runs, tmp_path: Path) -> None:
    model = load(tiny_runs["pairs"])
    data = tmp_path / "several.tsv"
    data.write_text(f"bal\tx y z\nbal\t{model.predict('bal')}\n", "utf-8")
    judged = judge(model, DataConfig(train=(str(data),)))
    assert judged.evaluation.examples == 1
    assert figures(judged)["exact match"] == 100


def test_a_unicode_form_of_its_own_is_no_mistake(
    tiny_runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny_runs["pairs"])
    data = tmp_path / "korean.tsv"
    data.write_text("bal\t\ud55c\n", "utf-8")
    monkeypatch.setattr(model, "predict", lambda sources: ["\u1112\u1161\u11ab"] * len(sources))
    config = DataConfig(train=(str(data),))
    assert figures(judge(model, config))["exact match"] == 0
    model.bundle.tokenizers.target.forms = frozenset({"NFD"})
    assert figures(judge(model, config))["exact match"] == 100


def test_two_models_are_compared_example_by_example(tiny_runs: Runs, tmp_path: Path) -> None:
    model = load(tiny_runs["pairs"])
    judged = judge(model, DataConfig(train=(str(write_pairs(tmp_path)),)), model)
    assert all(each.first == each.second for each in judged.evaluation.comparisons)
    assert all(each.p_value == 1 for each in judged.evaluation.comparisons)
    with pytest.raises(UserError, match="does not compare"):
        judge(model, DataConfig(train=(str(write_pairs(tmp_path)),)), load(tiny_runs["masked"]))


def test_a_causal_model_is_judged_by_what_it_expects(tiny_runs: Runs, tmp_path: Path) -> None:
    model, data = load(tiny_runs["causal"]), write_text(tmp_path)
    found = figures(judge(model, DataConfig(train=(str(data),))))
    texts = data.read_text("utf-8").splitlines()
    scores = model.score(texts)
    nats = -sum(score.total for score in scores)
    assert found["bits per byte"] == pytest.approx(nats / math.log(2) / sum(map(len, texts)))
    tokens = sum(len(score.log_probs) for score in scores)
    assert found["perplexity"] == pytest.approx(math.exp(nats / tokens))


def test_a_masked_model_is_judged_beside_the_commonest_token(tiny_runs: Runs, tmp_path: Path) -> None:
    judged = judge(load(tiny_runs["masked"]), DataConfig(train=(str(write_text(tmp_path)),)))
    assert (
        figures(judged)["masked accuracy"] > figures(judged, "always the commonest token")["masked accuracy"]
    )
    again = judge(load(tiny_runs["masked"]), DataConfig(train=(str(write_text(tmp_path)),)))
    assert json.loads(judged.evaluation.to_json()) == json.loads(again.evaluation.to_json())


def train_on_letters(folder: Path, kind: str, *more: str) -> Path:
    """A model of characters, to which everything but lower-case letters is unknown."""
    return train_tiny(
        kind, folder, 5, "text.target.kind=characters", "text.target.vocab_size=99", *more
    ).folder.path


def test_compression_stands_beside_bits_per_byte(tiny_runs: Runs, tmp_path: Path) -> None:
    data = write_text(tmp_path)
    judged = judge(load(tiny_runs["causal"]), DataConfig(train=(str(data),)))
    packed = 8 * len(lzma.compress(data.read_bytes().replace(b"\n", b""), preset=9))
    sizes = len(data.read_bytes().replace(b"\n", b""))
    assert figures(judged, "xz -9") == {"bits per byte": pytest.approx(packed / sizes)}


@pytest.mark.parametrize(("text", "unknown"), [("bal bam\nBAL b\n", 3 / 14), ("bal\n\n", None)])
def test_bits_per_byte_need_all_of_the_text(text: str, unknown: float | None, tmp_path: Path) -> None:
    model = load(train_on_letters(tmp_path, "causal"))
    data = tmp_path / "judged.txt"
    data.write_text(text, "utf-8")
    found = figures(judge(model, DataConfig(train=(str(data),), layout="lines")))
    assert ("bits per byte" in found) == (unknown is None)
    if unknown is not None:
        assert found["unknown tokens"] == pytest.approx(100 * unknown)


def test_lower_case_tokens_do_not_hold_all_of_the_text(tmp_path: Path) -> None:
    model = load(train_tiny("causal", tmp_path, 5, "text.target.lowercase=true").folder.path)
    data = tmp_path / "judged.txt"
    data.write_text("Bal\n", "utf-8")
    judged = judge(model, DataConfig(train=(str(data),)))
    assert set(figures(judged)) == {"perplexity"}
    assert set(judged.evaluation.systems) == {"model"}


def test_two_language_models_are_compared(tiny_runs: Runs, tmp_path: Path) -> None:
    data = DataConfig(train=(str(write_text(tmp_path)),))
    for kind, names in (("causal", {"perplexity", "bits per byte"}), ("masked", {"masked accuracy"})):
        model = load(tiny_runs[kind])
        other = load(train_tiny(kind, tmp_path, 2).folder.path)
        judged = judge(model, data, other)
        assert {each.name for each in judged.evaluation.comparisons} == names
        for each in judged.evaluation.comparisons:
            assert each.first == figures(judged)[each.name]
            assert each.second == figures(judged, "other")[each.name]
            assert each.p_value < 0.05
        assert figures(judged) == figures(judge(model, data))
        assert {each.p_value for each in judge(model, data, model).evaluation.comparisons} == {1.0}


def test_models_of_other_vocabularies_compare_where_figures_mean_the_same(
    tiny_runs: Runs, tmp_path: Path
) -> None:
    letters = load(train_on_letters(tmp_path, "causal"))
    text = tmp_path / "judged.txt"
    data = DataConfig(train=(str(text),))
    text.write_text("bal bam\n", "utf-8")
    judged = judge(load(tiny_runs["causal"]), data, letters)
    assert [each.name for each in judged.evaluation.comparisons] == ["bits per byte"]
    text.write_text("BAL\n", "utf-8")
    with pytest.raises(UserError, match="do not compare"):
        judge(load(tiny_runs["causal"]), data, letters)
    with pytest.raises(UserError, match="the same vocabulary"):
        judge(load(tiny_runs["masked"]), data, load(train_on_letters(tmp_path, "masked")))
