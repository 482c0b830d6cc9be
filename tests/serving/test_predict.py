"""What the page asks for as it works with a model: outputs, blanks, streams, next tokens, scores."""

import json
import math

import pytest

from tests.serving.live import Live

BEAMS = {"method": "beam", "n_best": 2, "repetition_penalty": 1.0}


def test_the_models_and_runs(live: Live) -> None:
    found = live.client.get("/api/models").json()
    assert [each["name"] for each in found["models"]] == ["de-en", "causal", "masked"]
    assert found["models"][0] == {
        "name": "de-en",
        "architecture": "encoder-decoder",
        "encoder_layers": 1,
        "decoder_layers": 1,
        "heads": 2,
        "context": 3,
        "has_source": True,
        "tokenizer": "symbols",
    }
    assert found["runs"] == ["de-en", "causal", "masked"]
    assert live.client.get("/api/runs/causal").json()["state"] == "finished"


@pytest.mark.parametrize(("model", "text"), [("de-en", "bal"), ("causal", "bal ban")])
def test_outputs_with_the_confidence_of_each_token(live: Live, model: str, text: str) -> None:
    pipeline = live.service.models.named(model).pipeline
    expected = pipeline.with_search({**BEAMS, "max_length": 9}).hypotheses([text])[0]
    body = {"model": model, "text": text, "n_best": 2, "beams": pipeline.search.beams, "max_tokens": 9}
    outputs = live.answer("/api/predict", **body, candidates=3)["outputs"]
    assert [each["text"] for each in outputs] == [each.text for each in expected]
    assert [each["score"] for each in outputs] == pytest.approx([each.score for each in expected], abs=1e-4)
    for output in outputs:
        assert "".join(each["text"] for each in output["tokens"]) == output["text"]
        assert all(len(each["alternatives"]) == 3 for each in output["tokens"])


@pytest.mark.parametrize(("model", "text", "prefix"), [("de-en", "bal", "n a"), ("causal", "bal", " dan")])
def test_one_goes_on_from_a_chosen_beginning(live: Live, model: str, text: str, prefix: str) -> None:
    greedy = {"method": "greedy", "max_length": 9, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    pipeline = live.service.models.named(model).pipeline.with_search(greedy)
    body = {
        "model": model,
        "text": text,
        "prefix": prefix,
        "temperature": 0,
        "max_tokens": 9,
        "candidates": 2,
    }
    found = live.answer("/api/predict", **body)["outputs"][0]
    if model == "causal":
        assert found["text"] == prefix + pipeline.predict(text + prefix)
    else:
        assert found["text"] == pipeline.hypotheses([text], [prefix])[0][0].text
    assert found["text"].startswith(prefix)
    assert "".join(each["text"] for each in found["tokens"]) == found["text"]
    assert all(each["alternatives"] for each in found["tokens"])


def test_blanks_and_their_candidates(live: Live) -> None:
    found = live.answer("/api/predict", model="masked", text="bal ___ bar", candidates=4)
    expected = live.service.models.named("masked").pipeline.fill(["bal ___ bar"], 4)[0]
    assert found["outputs"][0]["text"] == expected.text
    assert [each["text"] for each in found["blanks"][0]] == [each.text for each in expected.blanks[0]]
    assert live.answer("/api/predict", model="masked", text="bal")["outputs"][0]["text"] == "bal"


@pytest.mark.parametrize(("model", "prefix"), [("causal", ""), ("de-en", ""), ("de-en", "n a")])
def test_a_stream_is_the_output(live: Live, model: str, prefix: str) -> None:
    body = {"model": model, "text": "bal", "temperature": 0, "max_tokens": 6, "prefix": prefix}
    with live.client.stream("POST", "/api/stream", json=body) as response:
        events = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert events[-1] == "[DONE]"
    joined = "".join(json.loads(each)["text"] for each in events[:-1])
    assert joined == live.answer("/api/predict", **body)["outputs"][0]["text"]


@pytest.mark.parametrize(("model", "way"), [("causal", {"temperature": 0.7}), ("de-en", {"beams": 2})])
def test_the_tokens_of_a_stream_are_those_of_the_output(
    live: Live, model: str, way: dict[str, float]
) -> None:
    body = {"model": model, "text": "bal", "max_tokens": 6, "seed": 3, "candidates": 2, **way}
    with live.client.stream("POST", "/api/stream", json=body) as response:
        events = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    told = [token for each in events[:-1] for token in json.loads(each)["tokens"]]
    expected = live.answer("/api/predict", **body)["outputs"][0]["tokens"]
    assert [each["text"] for each in told] == [each["text"] for each in expected]
    for one, other in zip(told, expected, strict=True):
        assert one["log_prob"] == pytest.approx(other["log_prob"], abs=1e-4)
        assert [each["text"] for each in one["alternatives"]] == [
            each["text"] for each in other["alternatives"]
        ]


def test_what_is_too_long_is_called_as_the_client_calls_it(live: Live) -> None:
    long = "a" * 20_001
    for path, field in (("/api/predict", "text"), ("/api/next", "text"), ("/v1/completions", "prompt")):
        for text in (long, "bal " * 60):
            refused = live.post(path, model="causal", **{field: text})
            assert refused.status_code == 422 and refused.json()["error"]["param"] == field, path
    refused = live.post("/v1/embeddings", model="masked", input=[10**6])
    assert refused.json()["error"]["param"] == "input"
    assert live.post("/translate", q=long).json()["error"].startswith("q: ")


def test_bars_of_the_next_token_follow_the_temperature(live: Live) -> None:
    ask = {"model": "causal", "text": "bal"}
    plain = live.answer("/api/next", **ask, temperature=1)["candidates"]
    pipeline = live.service.models.named("causal").pipeline
    score = pipeline.score("bal" + plain[0]["text"])
    assert math.log(plain[0]["probability"]) == pytest.approx(score.log_probs[len(score.ids) - 1], abs=0.02)
    hot = live.answer("/api/next", **ask, temperature=3)["candidates"]
    assert hot[0]["probability"] < plain[0]["probability"]
    few = live.answer("/api/next", **ask, temperature=1, top_k=2, top_p=1)["candidates"]
    assert [each["kept"] for each in few[:3]] == [True, True, False]
    cold = live.answer("/api/next", **ask, temperature=0)["candidates"]
    assert cold[0]["probability"] == pytest.approx(1, abs=1e-3)
    assert live.answer("/api/next", model="de-en", text="bal", prefix="l a")["candidates"]


def test_texts_are_taken_apart_and_scored(live: Live) -> None:
    found = live.answer("/tokenize", model="causal", text="bal ban")
    tokenizer = live.service.models.named("causal").bundle.tokenizers.target
    assert found["ids"] == tokenizer.encode("bal ban")
    assert found["count"] == len(found["tokens"])
    for model, text, source in (
        ("causal", "bal ban", None),
        ("de-en", "l a b", "bal"),
        ("masked", "bal ban", None),
    ):
        score = live.service.models.named(model).pipeline.score(text, source)
        told = live.answer("/score", model=model, text=text, source=source)["scores"][0]
        assert told["log_prob"] == pytest.approx(score.total, abs=1e-4)
        assert [each["log_prob"] for each in told["tokens"]] == pytest.approx(score.log_probs, abs=1e-4)
    assert live.post("/score", model="causal", text="a", source="b").json()["error"]["param"] == "source"
    assert live.post("/score", model="de-en", text=["a", "b"], source="b").status_code == 422
    assert live.post("/tokenize", model="causal", text="a", side="source").status_code == 422
    assert live.answer("/tokenize", model="de-en", text="bal")["count"] == 3
