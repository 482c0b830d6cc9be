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


def test_a_text_without_a_blank_is_refused(live: Live) -> None:
    for body in (
        {"inputs": "bal"},
        {"inputs": TEXT, "model": "causal"},
        {"inputs": TEXT, "parameters": {"x": 1}},
    ):
        response = live.post("/fill-mask", **body)
        assert response.status_code == 422
        assert isinstance(response.json()["error"], str)
