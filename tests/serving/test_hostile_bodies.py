"""Bodies that no description foresees: none breaks the server, and what is no request is refused."""

import pytest

from tests.serving.live import Live

BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"model": "causal", "text": "\xff\xfe"}',
    "depth": b'{"model": "causal", "text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "depth of tables": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "digits": b'{"model": "causal", "text": "a", "top_k": ' + b"9" * 100_000 + b"}",
    "not a number": b'{"model": "causal", "text": "a", "temperature": NaN}',
    "infinity": b'{"model": "causal", "text": "a", "temperature": Infinity}',
    "too large a number": b'{"model": "causal", "text": "a", "temperature": 1e999}',
    "half a character": b'{"model": "causal", "text": "\\ud800", "prompt": "\\ud800", "q": "\\ud800"}',
    "half a character in a name": b'{"\\ud800": 1}',
    "a list": b"[]",
    "null": b"null",
}
PATHS = ("/api/predict", "/api/next", "/tokenize", "/score", "/translate", "/v1/completions", "/attention")


@pytest.mark.parametrize("path", PATHS)
def test_hostile_bodies_are_refused(live: Live, path: str) -> None:
    for name, body in BODIES.items():
        response = live.client.post(path, content=body, headers={"content-type": "application/json"})
        assert response.status_code < 500, (name, response.text[:300])
        ignored = "temperature" in body.decode("latin-1") or "top_k" in body.decode("latin-1")
        assert ignored or response.status_code >= 400, (name, response.text[:300])
    assert live.client.get("/health").status_code == 200
