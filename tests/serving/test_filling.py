"""Blanks over HTTP, with Hugging Face's own client."""

from typing import Any

import pytest
from huggingface_hub import InferenceClient

from headway.api import Pipeline
from tests.serving.live import Live

TEXT = "bal ___ bar"


@pytest.fixture
def pipeline(live: Live) -> Pipeline:
    return live.service.models.named("masked").pipeline


def test_their_client_reads_the_answer(live: Live, pipeline: Pipeline) -> None:
    expected = pipeline.fill([TEXT], 3)[0]
    client = InferenceClient(model=f"{live.url}/fill-mask", timeout=60)
    found: Any = client.fill_mask(TEXT, top_k=3)
    assert [each.token_str for each in found] == [each.text for each in expected.blanks[0]]
    assert [each.score for each in found] == pytest.approx(
        [each.probability for each in expected.blanks[0]], abs=1e-5
    )
    assert found[0].sequence == expected.text


def test_a_list_for_each_of_several_blanks_and_texts(live: Live, pipeline: Pipeline) -> None:
    texts = ["bal <mask> [MASK]", TEXT]
    expected = pipeline.fill(texts, 5)
    first, second = live.answer("/fill-mask", inputs=texts)
    assert [[each["token"] for each in blank] for blank in first] == [
        [each.id for each in blank] for blank in expected[0].blanks
    ]
    assert first[0][0]["sequence"] == first[1][0]["sequence"] == expected[0].text
    assert second[0]["sequence"] == expected[1].text


def test_targets_are_all_that_may_fill_a_blank(live: Live, pipeline: Pipeline) -> None:
    [every] = pipeline.fill([TEXT], 1000)[0].blanks
    texts = [each.text for each in every]  # the same for a word's piece with its space and without
    whole = [each for each in every if each.text.isalpha() and texts.count(each.text) == 1]
    targets = [whole[5].text, whole[2].text]
    client = InferenceClient(model=f"{live.url}/fill-mask", timeout=60)
    found: Any = client.fill_mask(TEXT, targets=targets)
    assert [each.token for each in found] == [whole[2].id, whole[5].id]
    assert [each.score for each in found] == pytest.approx(
        [whole[2].probability, whole[5].probability], abs=1e-5
    )
    assert found[0].sequence == TEXT.replace("___", whole[2].text)
    single = live.answer("/fill-mask", inputs=TEXT, parameters={"targets": targets[0], "top_k": 1})
    assert [each["token_str"] for each in single] == [targets[0]]


def test_targets_that_are_no_tokens_are_refused(live: Live) -> None:
    for targets in ([], ["bal bam"], "", "<mask>", ["bal"] * 65):
        response = live.post("/fill-mask", inputs=TEXT, parameters={"targets": targets})
        assert response.status_code == 422 and response.json()["error"].startswith("targets: "), targets


def test_a_text_without_a_blank_is_refused(live: Live) -> None:
    for body in (
        {"inputs": "bal"},
        {"inputs": TEXT, "model": "causal"},
        {"inputs": TEXT, "parameters": {"x": 1}},
    ):
        response = live.post("/fill-mask", **body)
        assert response.status_code == 422
        assert isinstance(response.json()["error"], str)
