"""HEAD is answered as GET is, without the body."""

import pytest
from fastapi.testclient import TestClient

from headway.serving.app import build_app
from headway.serving.models import Models
from headway.serving.settings import ServingConfig
from tests.serving.live import Live


@pytest.mark.parametrize(
    "path", ["/", "/health", "/api/models", "/docs", "/openapi.json", "/static/base.css"]
)
def test_head_is_get_without_the_body(path: str, live: Live) -> None:
    get, head = live.client.get(path), live.client.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert get.content
    for each in (get, head):
        each.headers.pop("date", None)  # the second may have passed
    assert head.headers == get.headers


def test_where_there_is_no_get_there_is_no_head(live: Live) -> None:
    assert live.client.head("/v1/completions").status_code == 405
    assert live.client.head("/nothing").status_code == 404


def test_a_head_passes_the_guard_and_is_counted() -> None:
    app = build_app(Models(), ServingConfig(key="secret"))
    with TestClient(app, base_url="http://localhost") as client:
        assert client.head("/metrics").status_code == 401
        allowed = {"Authorization": "Bearer secret"}
        assert client.head("/metrics", headers=allowed).status_code == 200
        assert 'path="/metrics",status="200"' in client.get("/metrics", headers=allowed).text
