"""The page's views as HTTP: what they answer is what was recorded, and what cannot be shown is refused."""

import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from headway.api import load
from headway.inspection.record import record_attention
from headway.inspection.summaries import quantise
from headway.serving import answers, errors, views
from headway.serving.app import build_app
from headway.serving.dashboard import dashboard_router
from headway.serving.models import Models, Served
from headway.serving.scheduler import Scheduler
from headway.serving.settings import ServingConfig

SOURCE, TEXT = "bal", "l a b"


@pytest.fixture(scope="module")
def models(tiny_runs: dict[str, Path]) -> Iterator[Models]:
    models = Models()
    served = {}
    for name, folder in tiny_runs.items():
        pipeline = load(folder, device="cpu")
        served[name] = Served(name, pipeline, Scheduler(pipeline.ensemble, 4096, 16, name))
    models.put(served)
    models.runs = {"pairs": tiny_runs["pairs"]}
    yield models
    for each in served.values():
        each.scheduler.close(at_once=True)


@pytest.fixture(scope="module")
def client(models: Models) -> Iterator[TestClient]:
    app = FastAPI()
    app.state.models = models
    errors.install(app)
    app.include_router(views.views_router())
    app.include_router(dashboard_router())
    with closing(TestClient(app)) as client:
        yield client


def post(client: TestClient, path: str, **body: Any) -> Any:
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def error(client: TestClient, path: str, **body: Any) -> tuple[int, str]:
    response = client.post(path, json=body)
    return response.status_code, response.json()["error"]["message"]


def bytes_of(text: str, shape: list[int]) -> Any:
    return np.frombuffer(b64decode(text), dtype=np.uint8).reshape(shape)


def test_a_layer_is_what_was_recorded(client: TestClient, models: Models) -> None:
    bundle = models.named("pairs").bundle
    recording = record_attention(bundle, SOURCE, TEXT)
    for stack, record in (
        ("encoder", recording.record("encoder", 1)),
        ("decoder", recording.record("decoder", 1)),
        ("memory", recording.record("decoder", 1, "memory")),
    ):
        answer = post(client, "/attention", model="pairs", source=SOURCE, text=TEXT, stack=stack, layer=1)
        assert answer["heads"] == 2
        assert (bytes_of(answer["weights"], answer["shape"]) == quantise(record.weights)).all()
        assert answer["query_tokens"] == record.query_tokens
        assert answer["key_tokens"] == record.key_tokens
        assert answer["key_words"] == record.keys.words
        assert len(answer["summaries"]) == 2
    assert answer["query_tokens"] == ["l", "a", "b", "</s>"]


def test_without_a_text_it_is_the_models_own_output(client: TestClient, models: Models) -> None:
    own = models.named("pairs").pipeline.predict(SOURCE)
    given = post(client, "/attention/summary", model="pairs", source=SOURCE, text=own)
    assert post(client, "/attention/summary", model="pairs", source=SOURCE) == given
    assert post(client, "/attention/summary", model="pairs", source=SOURCE, text="") == given
    status, message = error(client, "/attention/summary", model="masked")
    assert (status, "give it a text" in message) == (422, True)


def test_the_summary_holds_every_layer(client: TestClient) -> None:
    layers = post(client, "/attention/summary", model="pairs", source=SOURCE, text=TEXT)["layers"]
    assert [(each["stack"], each["layer"]) for each in layers] == [
        ("encoder", 1),
        ("decoder", 1),
        ("memory", 1),
    ]
    for each in layers:
        assert bytes_of(each["thumbnails"], each["shape"]).max() > 0
        assert all(
            head.keys() == {"entropy", "distance", "previous", "diagonal"} for head in each["summaries"]
        )
    assert len(post(client, "/attention/summary", model="causal", text="bal bel")["layers"]) == 1


def test_the_other_views_answer(client: TestClient) -> None:
    guesses = post(client, "/guesses", model="masked", text="bal ___ bil")
    assert not guesses["predicts_next"]
    assert [len(layer) for layer in guesses["layers"]] == [len(guesses["tokens"])]
    assert all(len(each) == 5 for each in guesses["layers"][0])
    [own] = post(client, "/masks", model="causal", text="bal bel")["views"]
    visible = bytes_of(own["visible"], [len(own["query_tokens"]), len(own["key_tokens"])])
    assert (visible == np.tril(np.ones_like(visible))).all()
    nodes = post(client, "/search-tree", model="pairs", text=SOURCE, beams=3)["nodes"]
    assert nodes[0].keys() == {
        "id", "parent", "step", "text", "log_prob", "score", "kept", "finished", "best"
    }  # fmt: skip
    assert any(node["best"] for node in nodes)
    steps = [node["step"] for node in post(client, "/search-tree", model="causal", text="bal")["nodes"]]
    assert max(steps) <= answers.MOST_STEPS["decoder"]
    positions = client.get("/positions", params={"model": "pairs", "length": 20}).json()
    assert np.array(positions["products"]).shape == (20, 20)
    assert np.array(positions["waves"]).shape[0] == 20


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        (
            "/attention",
            {"model": "pairs", "source": "b", "stack": "memory", "layer": 2},
            422,
            "layer: memory 2",
        ),
        (
            "/attention",
            {"model": "causal", "text": "b", "stack": "encoder", "layer": 1},
            422,
            "layer: encoder",
        ),
        ("/attention", {"model": "causal", "text": "b", "stack": "both", "layer": 1}, 422, "stack"),
        ("/attention", {"model": "causal", "text": "b", "stack": "decoder", "layer": 0}, 422, "layer"),
        ("/guesses", {"model": "pairs", "text": "b"}, 422, "reads a source"),
        ("/guesses", {"model": "pairs"}, 422, "reads a source"),
        ("/guesses", {"model": "causal", "source": "b", "text": "b"}, 422, "give the text alone"),
        ("/masks", {"model": "nowhere", "text": "b"}, 404, "no such model"),
        ("/masks", {"model": "causal", "text": "\ud800"}, 422, "unicode string"),
        ("/masks", {"model": "masked", "text": "bal " * 600}, 422, "too many to look at"),
        ("/search-tree", {"model": "masked", "text": "b"}, 422, "does not search"),
        ("/search-tree", {"model": "pairs", "text": "b", "beams": 33}, 422, "beams"),
        ("/single-file", {"hash": "attention", "answers": {}}, 422, "hash"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    client: TestClient, path: str, body: dict[str, Any], status: int, told: str
) -> None:
    response = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert response.status_code == status, response.text
    assert told in response.json()["error"]["message"]


def test_large_recordings_are_refused_before_they_are_made(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_WEIGHTS", 100)
    monkeypatch.setattr(answers, "record_attention", lambda *_: pytest.fail("it was recorded"))
    status, message = error(client, "/attention/summary", model="causal", text="bal bel bil bol bul")
    assert (status, "at most 100 are possible" in message) == (422, True)


def test_another_layer_of_the_same_text_is_not_recorded_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 0
    real = views.Attended

    def counted(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        return real(*arguments)

    monkeypatch.setattr(views, "Attended", counted)
    asked = {"model": "pairs", "source": "dim", "text": "m i d"}
    for stack in ("encoder", "decoder", "memory", "encoder"):
        post(client, "/attention", **asked, stack=stack, layer=1)
    assert count == 1
    for source in ("del", "bor", "dim"):
        post(client, "/attention/summary", **{**asked, "source": source})
    assert count == 4, "old ones are forgotten"


def test_who_comes_when_too_many_look_is_told_to_try_again(
    client: TestClient, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "LONGEST_WAIT", 0.05)
    with models.named("causal").viewing:
        assert error(client, "/guesses", model="causal", text="b")[0] == 504
        assert post(client, "/guesses", model="masked", text="b"), "another model has a lock of its own"
    monkeypatch.setattr(views, "LONGEST_WAIT", 20.0)
    statuses: list[int] = []

    def look() -> None:
        statuses.append(client.post("/guesses", json={"model": "causal", "text": "b"}).status_code)

    threads = [threading.Thread(target=look) for _ in range(views.MOST_WAITING + 2)]
    with models.named("causal").viewing:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=0.1)
        while len(statuses) < 2:
            threading.Event().wait(0.01)
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * views.MOST_WAITING + [429] * 2


def test_a_page_to_be_saved_may_be_larger_than_other_requests(models: Models) -> None:
    answers_of_a_page = {"GET /api/models": {"models": [], "runs": [], "rest": "x" * 2000}}
    app = build_app(models, ServingConfig(max_body=1000))
    with closing(TestClient(app, base_url="http://localhost")) as client:
        page = client.post("/single-file", json={"hash": "#attention", "answers": answers_of_a_page})
        assert page.status_code == 200
        assert "x" * 2000 in page.text
        assert page.headers["content-disposition"].startswith("attachment")
        assert client.post("/guesses", json={"model": "causal", "text": "x" * 2000}).status_code == 413
