"""What no request gets past: size, host, key, and the way to files."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from headway.serving.guard import is_key
from tests.serving.live import Live, serving, wait_until

KEY = "a key with ä"


@pytest.fixture(scope="module")
def locked(tiny_runs: dict[str, Path]) -> Iterator[Live]:
    with serving(tiny_runs["causal"], key="secret", max_body=2000, cors="https://example.org") as found:
        yield found


def test_a_key_is_right_or_not() -> None:
    assert (
        is_key("secret", "secret")
        and is_key("Bearer secret", "secret")
        and is_key("bearer  secret ", "secret")
    )
    assert is_key(f"Bearer {KEY}", KEY)
    for wrong in ("", "Bearer", "Bearer secrets", "Basic secret", "secre", "Bearer \ud800"):
        assert not is_key(wrong, "secret")


def test_without_the_key_nothing_but_the_page_is_there(locked: Live) -> None:
    for path in ("/v1/models", "/api/models", "/metrics", "/positions?model=causal", "/api/runs/causal"):
        response = locked.client.get(path)
        assert response.status_code == 401, path
        assert response.headers["www-authenticate"] == "Bearer"
        assert locked.client.get(path, headers={"Authorization": "Bearer secret"}).status_code == 200, path
    for path in ("/", "/static/main.js", "/health", "/docs", "/openapi.json"):
        assert locked.client.get(path).status_code == 200, path
    with (
        pytest.raises(openai.AuthenticationError),
        openai.OpenAI(base_url=f"{locked.url}/v1", api_key="wrong", max_retries=0) as client,
    ):
        client.completions.create(model="causal", prompt="bal")
    refused = locked.post("/translate", q="bal", target="en")
    assert refused.status_code == 401 and isinstance(refused.json()["error"], str)
    assert locked.post("/translate", q="bal", target="en", api_key="secret").status_code == 404


def test_a_body_that_is_too_large_is_refused(locked: Live) -> None:
    headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
    large = json.dumps({"prompt": "a" * 3000}).encode()

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(large), 500):
            yield large[start : start + 500]

    for content in (large, chunks()):
        response = locked.client.post("/v1/completions", content=content, headers=headers)
        assert response.status_code == 413
        assert response.json()["error"]["code"] == "body_too_large"


def test_other_origins_are_let_in_only_when_asked(locked: Live, live: Live) -> None:
    headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    allowed = locked.client.options("/v1/completions", headers=headers)
    assert allowed.headers["access-control-allow-origin"] == "https://example.org"
    other = locked.client.options("/v1/completions", headers={**headers, "Origin": "https://example.com"})
    assert "access-control-allow-origin" not in other.headers
    plain = live.client.get("/v1/models", headers={"Origin": "https://example.org"})
    assert "access-control-allow-origin" not in plain.headers


def test_a_name_from_elsewhere_is_refused(live: Live) -> None:
    assert live.client.get("/health", headers={"Host": "evil.example:80"}).status_code == 403
    for name in ("localhost:1", "127.0.0.1", "[::1]:80"):
        assert live.client.get("/health", headers={"Host": name}).status_code == 200


def test_every_answer_says_what_a_page_may_do(live: Live) -> None:
    for path in ("/", "/docs", "/nothing", "/static/main.js", "/health"):
        headers = live.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/../app.py",
    ],
)
def test_no_file_beside_the_page_is_reachable(live: Live, path: str) -> None:
    with socket.create_connection(("127.0.0.1", int(live.url.rpartition(":")[2]))) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"import" not in answer and b"root:" not in answer


def test_the_description_stands_alone(live: Live) -> None:
    page = live.client.get("/docs").text
    assert (
        "/v1/completions" in page and "<script" not in page and "http" not in page.replace("http-equiv", "")
    )
    assert live.client.get("/static/docs.css").headers["content-type"].startswith("text/css")
    assert live.client.get("/openapi.json").json()["info"]["title"] == "Headway"


def test_figures_are_told(live: Live) -> None:
    live.answer("/v1/completions", model="causal", prompt="bal", max_tokens=2)
    live.client.get("/no/such/path")
    figures = live.client.get("/metrics").text
    assert 'headway_requests_total{path="/v1/completions",status="200"}' in figures
    assert 'path="other",status="404"' in figures and "/no/such" not in figures
    assert 'headway_tokens_total{model="causal"}' in figures
    assert 'headway_request_seconds_bucket{le="0.05",path="/v1/completions"}' in figures


def test_errors_tell_nothing_of_the_machine(live: Live) -> None:
    headers = {"Content-Type": "application/json"}
    for content in (b"{", b"[" * 20_000, b"\xff", b'{"prompt": "\\ud800"}', b"null", b'{"prompt": NaN}'):
        for path in ("/v1/completions", "/translate", "/fill-mask", "/api/predict", "/attention"):
            response = live.client.post(path, content=content, headers=headers)
            assert 400 <= response.status_code < 500, (path, content[:20])
            assert "Traceback" not in response.text and "/work" not in response.text
            assert "site-packages" not in response.text and ".py" not in response.text


class Busy:
    """A pass that goes on until it is told to end, so that nothing else is computed."""

    def __init__(self, live: Live) -> None:
        self.scheduler = live.service.models.named("causal").scheduler
        self.begun, self.end = threading.Event(), threading.Event()
        self.scheduler.compute("busy", self.run, [1], 1)
        assert self.begun.wait(20)

    def run(self, items: list[int]) -> list[int]:
        self.begun.set()
        self.end.wait(30)
        return items


def test_the_time_is_limited_and_the_queue_is_bounded(tiny_runs: dict[str, Path]) -> None:
    with serving(tiny_runs["causal"], timeout=0.3, queue=1) as live:
        busy = Busy(live)
        late = live.post("/v1/completions", prompt="bal")
        assert late.status_code == 504 and late.json()["error"]["code"] == "timeout"
        with live.client.stream("POST", "/v1/completions", json={"prompt": "bal", "stream": True}) as stream:
            events = [line for line in stream.iter_lines() if line]
        assert json.loads(events[-2].removeprefix("data: "))["error"]["code"] == "timeout"
        assert events[-1] == "data: [DONE]"
        held = busy.scheduler.compute("hold", lambda items: items, [1], 1)
        refused = live.post("/v1/completions", prompt="bal")
        assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
        with (
            openai.OpenAI(base_url=f"{live.url}/v1", api_key="x", max_retries=0) as client,
            pytest.raises(openai.RateLimitError),
        ):
            client.completions.create(model="causal", prompt="bal")
        busy.end.set()
        held.result(10)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_is_not_computed_for(tiny_runs: dict[str, Path], stream: bool) -> None:
    with serving(tiny_runs["causal"]) as live:
        busy = Busy(live)
        address = ("127.0.0.1", int(live.url.rpartition(":")[2]))
        body = json.dumps({"prompt": "bal", "max_tokens": 25, "stream": stream})
        head = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(address) as connection:
            connection.sendall(f"POST /v1/completions HTTP/1.1\r\n{head}{body}".encode())
            wait_until(lambda: busy.scheduler.waiting == 1)
        wait_until(lambda: busy.scheduler.waiting == 0)
        busy.end.set()
        assert live.post("/tokenize", text="bal").status_code == 200
        assert live.post("/v1/embeddings", model="causal", input="bal").status_code == 422
        assert busy.scheduler.counts.steps == 0
