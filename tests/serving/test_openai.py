"""OpenAI's own client against a real server."""

import base64
import json
import struct
from typing import Any

import openai
import pytest

from headway.api import load
from tests.serving.live import Live


@pytest.fixture(scope="module")
def client(live: Live) -> Any:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0, timeout=60) as found:
        yield found


def pipeline_of(live: Live, name: str) -> Any:
    return next(each for each in live.service.models.all if each.name == name).pipeline


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    assert [each.id for each in client.models.list()] == ["de-en", "causal", "masked"]
    assert client.models.retrieve("masked").owned_by == "headway"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


def test_a_completion_is_what_the_pipeline_gives(client: openai.OpenAI, live: Live) -> None:
    greedy = {"method": "greedy", "max_length": 8}
    expected = pipeline_of(live, "causal").with_search(greedy).hypotheses(["bal ban", "gun"])
    found = client.completions.create(model="causal", prompt=["bal ban", "gun"], temperature=0, max_tokens=8)
    assert [each.text for each in found.choices] == [each[0].text for each in expected]
    assert [each.index for each in found.choices] == [0, 1]
    assert found.choices[0].finish_reason == ("stop" if expected[0][0].finished else "length")
    assert found.usage is not None
    tokenizer = pipeline_of(live, "causal").bundle.tokenizers.target
    assert found.usage.prompt_tokens == len(tokenizer.encode("bal ban")) + len(tokenizer.encode("gun"))
    assert found.usage.completion_tokens == sum(len(each[0].log_probs) for each in expected)


def test_samples_with_a_seed_are_those_of_the_pipeline(client: openai.OpenAI, live: Live) -> None:
    way = {"method": "sample", "temperature": 0.9, "top_p": 0.95, "n_best": 3, "seed": 7, "max_length": 6}
    expected = pipeline_of(live, "causal").with_search(way).hypotheses(["bal"])[0]
    settings: dict[str, Any] = {"temperature": 0.9, "top_p": 0.95, "n": 3, "seed": 7, "max_tokens": 6}
    found = client.completions.create(model="causal", prompt="bal", **settings)
    assert [each.text for each in found.choices] == [each.text for each in expected]


def test_without_a_seed_every_request_is_drawn_anew(client: openai.OpenAI) -> None:
    texts = {
        client.completions.create(model="causal", prompt="", temperature=5, max_tokens=8).choices[0].text
        for _ in range(3)
    }
    assert len(texts) > 1


def test_an_encoder_decoder_turns_a_prompt_into_its_output(client: openai.OpenAI, live: Live) -> None:
    found = client.completions.create(model="de-en", prompt=["bal", "nug\nbal"])
    bal, nug = pipeline_of(live, "de-en").predict(["bal", "nug"])
    assert [each.text for each in found.choices] == [bal, f"{nug}\n{bal}"]


def test_a_stream_joined_is_the_whole(client: openai.OpenAI) -> None:
    for model, extra in (
        ("causal", {"temperature": 0}),
        ("causal", {"temperature": 0.8, "seed": 1, "n": 2}),
        ("causal", {"n": 2, "extra_body": {"beams": 3}}),
        ("de-en", {"temperature": 0}),
        ("de-en", {}),
    ):
        settings: dict[str, Any] = {"model": model, "prompt": ["bal", "nug"], "max_tokens": 7, **extra}
        whole = client.completions.create(**settings)
        told: dict[int, str] = {}
        reasons: dict[int, str] = {}
        usage = None
        stream = client.completions.create(**settings, stream=True, stream_options={"include_usage": True})
        for chunk in stream:
            usage = chunk.usage or usage
            for each in chunk.choices:
                told[each.index] = told.get(each.index, "") + each.text
                if each.finish_reason:
                    reasons[each.index] = each.finish_reason
        # Samples are told in the order in which they were begun, and a whole answer sorts them.
        assert sorted(told.values()) == sorted(each.text for each in whole.choices), settings
        assert sorted(reasons.values()) == sorted(each.finish_reason for each in whole.choices)
        assert usage == whole.usage


def test_lines_of_a_stream_come_in_order(client: openai.OpenAI) -> None:
    settings: dict[str, Any] = {"model": "de-en", "prompt": "\nbal\n\nnug\ndan\n", "temperature": 0}
    whole = client.completions.create(**settings).choices[0].text
    pieces = [each.choices[0].text for each in client.completions.create(**settings, stream=True)]
    assert "".join(pieces) == whole
    assert len(pieces) > 3


def test_the_stream_ends_as_clients_expect(live: Live) -> None:
    body = {"model": "causal", "prompt": "bal", "max_tokens": 3, "stream": True}
    with live.client.stream("POST", "/v1/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [line for line in response.iter_lines() if line]
    assert events[-1] == "data: [DONE]"
    assert all(json.loads(each.removeprefix("data: "))["object"] == "text_completion" for each in events[:-1])


def test_a_completion_ends_before_a_stop(client: openai.OpenAI) -> None:
    settings: dict[str, Any] = {"model": "causal", "prompt": "bal ban", "temperature": 0, "max_tokens": 20}
    whole = client.completions.create(**settings).choices[0]
    stop = whole.text[3:6]
    for choice in (
        client.completions.create(**settings, stop=[stop, "§"]).choices[0],
        client.completions.create(
            **{**settings, "temperature": None}, stop=stop, extra_body={"beams": 1}
        ).choices[0],
    ):
        assert choice.text == whole.text[: whole.text.index(stop)]
        assert choice.finish_reason == "stop"
    streamed = client.completions.create(**settings, stop=stop, stream=True)
    assert "".join(each.choices[0].text for each in streamed) == whole.text[: whole.text.index(stop)]


def test_log_probabilities_are_those_of_a_score(client: openai.OpenAI, live: Live) -> None:
    found = client.completions.create(
        model="causal", prompt="bal ban", temperature=0, max_tokens=5, logprobs=3, echo=True
    ).choices[0]
    assert found.text.startswith("bal ban")
    told = found.logprobs
    assert told is not None and told.tokens and told.token_logprobs and told.text_offset and told.top_logprobs
    assert "".join(told.tokens) == found.text
    assert [
        found.text[at:].startswith(token) for at, token in zip(told.text_offset, told.tokens, strict=True)
    ]
    score = pipeline_of(live, "causal").score(found.text)
    count = len(told.tokens)
    assert told.token_logprobs == pytest.approx(score.log_probs[:count], abs=1e-4)
    for token, value, others in zip(told.tokens, told.token_logprobs, told.top_logprobs, strict=True):
        assert others is not None and others[token] >= value - 1e-6
    # What was chosen greedily is the likeliest.
    assert told.token_logprobs[-1] == pytest.approx(max(told.top_logprobs[-1].values()))


@pytest.mark.parametrize("way", [{"model": "causal", "echo": True}, {"model": "de-en"}])
def test_log_probabilities_of_a_stream_are_those_of_the_whole(
    client: openai.OpenAI, way: dict[str, Any]
) -> None:
    settings: dict[str, Any] = {"prompt": "bal", "max_tokens": 6, "logprobs": 2, **way}
    whole = client.completions.create(**settings, temperature=0).choices[0].logprobs
    tokens, values, offsets, others = [], [], [], []
    for chunk in client.completions.create(**settings, temperature=0, stream=True):
        for each in chunk.choices:
            if each.logprobs:
                tokens += each.logprobs.tokens or []
                values += each.logprobs.token_logprobs or []
                offsets += each.logprobs.text_offset or []
                others += each.logprobs.top_logprobs or []
    assert whole is not None and whole.top_logprobs is not None
    assert [set(each) for each in others] == [set(each) for each in whole.top_logprobs]
    assert (tokens, offsets) == (whole.tokens, whole.text_offset)
    assert values == pytest.approx(whole.token_logprobs, abs=1e-4)


def test_an_echo_alone_generates_nothing(client: openai.OpenAI) -> None:
    found = client.completions.create(model="causal", prompt="bal ban", max_tokens=0, echo=True, logprobs=0)
    assert found.choices[0].text == "bal ban"
    assert found.usage is not None and found.usage.completion_tokens == 0


def test_tokens_are_taken_as_prompts(client: openai.OpenAI, live: Live) -> None:
    ids = pipeline_of(live, "causal").bundle.tokenizers.target.encode("bal ban")
    settings: dict[str, Any] = {"model": "causal", "temperature": 0, "max_tokens": 5}
    as_text = client.completions.create(prompt="bal ban", **settings).choices[0].text
    assert client.completions.create(prompt=ids, **settings).choices[0].text == as_text
    assert client.completions.create(prompt=[ids], **settings).choices[0].text == as_text
    with pytest.raises(openai.UnprocessableEntityError, match="tokens are from 0 to"):
        client.completions.create(prompt=[10**6], **settings)


@pytest.mark.parametrize("model", ["masked", "de-en"])
def test_embeddings_are_those_of_the_pipeline(client: openai.OpenAI, live: Live, model: str) -> None:
    expected = pipeline_of(live, model).embed(["bal", "nug dan"])
    found = client.embeddings.create(model=model, input=["bal", "nug dan"])  # as base64, without being told
    for each, vector in zip(found.data, expected, strict=True):
        assert each.embedding == pytest.approx(vector.tolist(), abs=1e-5)
    plain = client.embeddings.create(model=model, input="bal", encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(expected[0].tolist(), abs=1e-5)
    raw = live.answer("/v1/embeddings", model=model, input="bal", encoding_format="base64")
    values = struct.unpack(f"<{len(expected[0])}f", base64.b64decode(raw["data"][0]["embedding"]))
    assert values == pytest.approx(expected[0].tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("n", {"n": 0}),
        ("n", {"n": 1000, "temperature": 1}),
        ("n", {"n": 2, "temperature": 0}),
        ("max_tokens", {"max_tokens": 10**6}),
        ("max_tokens", {"max_tokens": 0}),
        ("temperature", {"temperature": -1}),
        ("top_p", {"top_p": 0}),
        ("stop", {"stop": ""}),
        ("stop", {"stop": ["a"] * 99}),
        ("logit_bias", {"logit_bias": {"3": 5}}),
        ("suffix", {"suffix": "end"}),
        ("prompt", {"prompt": "bal " * 60}),
        ("prompt", {"prompt": []}),
        ("prompt", {"prompt": ["a"] * 65}),
        ("prompt", {"prompt": "a" * 20_001}),
        ("model", {"model": "masked"}),
        ("beams", {"extra_body": {"beams": 3}, "temperature": 1}),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_name(
    client: openai.OpenAI, field: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        client.completions.create(**{"model": "causal", "prompt": "bal", **settings})
    assert caught.value.param == field
    assert field in caught.value.message


def test_what_is_not_known_is_said_to_have_no_effect(live: Live) -> None:
    settings = {"model": "causal", "prompt": "bal", "max_tokens": 1, "user": "me", "frequency_penalty": 0}
    assert live.answer("/v1/completions", **settings)["warnings"] is None
    assert live.answer("/v1/completions", **settings, colour="red")["warnings"] == [
        "'colour' is not known here and has no effect"
    ]


def test_a_model_loaded_alone_needs_no_name(live: Live) -> None:
    found = live.answer("/v1/completions", prompt="bal")
    assert found["model"] == "de-en"  # the first that writes
    assert live.answer("/v1/embeddings", input="bal")["model"] == "de-en"


def test_the_pipeline_of_the_folder_agrees(live: Live, tiny_runs: Any) -> None:
    found = live.answer("/v1/completions", model="de-en", prompt="bal")
    assert found["choices"][0]["text"] == load(tiny_runs["pairs"]).predict("bal")
