import json
import math
from pathlib import Path

import pytest

from headway.api import load
from headway.data.corpus import DataConfig
from headway.errors import UserError
from headway.judge import Judged, judge
from tests.tiny import write_pairs, write_text

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
