"""Names, loading, loading anew, runs without a model, and stopping."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from headway.errors import UserError
from headway.serving.app import build_app
from headway.serving.models import Models
from headway.serving.server import Service, places_of
from headway.serving.settings import ServingConfig
from tests.commands.program import headway
from tests.serving.live import running, serving, wait_until


def test_folders_get_names(tmp_path: Path) -> None:
    for name in ("one/model", "two", "bad name"):
        (tmp_path / name).mkdir(parents=True)
    one, two = tmp_path / "one" / "model", tmp_path / "two"
    assert [each.name for each in places_of([str(one), str(two), f"de-en={two}"])] == ["one", "two", "de-en"]
    for things, told in (
        ([str(two), str(two)], "two models are called 'two'"),
        ([str(tmp_path / "none")], "there is no such model or run folder"),
        ([str(tmp_path / "bad name")], "no name for a model"),
    ):
        with pytest.raises(UserError, match=told):
            places_of(things)


def test_while_it_loads_it_says_so() -> None:
    with TestClient(build_app(Models(), ServingConfig()), base_url="http://localhost") as client:
        gets, posts = ("/health", "/api/models"), ("/v1/completions", "/api/predict")
        for method, path in (*(("GET", path) for path in gets), *(("POST", path) for path in posts)):
            response = client.request(
                method, path, json={"prompt": "a", "text": "a"} if method == "POST" else None
            )
            assert response.status_code == 503 and response.headers["retry-after"] == "2", path


def test_a_run_without_a_model_is_watched_until_it_has_one(
    tiny_runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.serving.server.LOOK_EVERY", 0.05)
    run = tmp_path / "growing"
    shutil.copytree(tiny_runs["causal"], run)
    (run / "model").rename(tmp_path / "kept")
    with serving(run) as live:
        assert live.client.get("/api/models").json() == {"models": [], "runs": ["growing"]}
        assert live.client.get("/api/runs/growing").json()["metrics"]
        assert live.client.get("/").status_code == 200
        assert live.post("/v1/completions", prompt="a").status_code == 404
        (tmp_path / "kept").rename(run / "model")
        wait_until(lambda: live.client.get("/api/models").json()["models"], 10)
        assert live.answer("/v1/completions", prompt="bal")["model"] == "growing"


def test_loading_anew_drops_no_request(tiny_runs: dict[str, Path]) -> None:
    with serving(tiny_runs["causal"]) as live:
        before = live.service.models.named("causal").scheduler
        statuses: list[int] = []
        stop = threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=live.url, timeout=30) as client:
                while not stop.is_set():
                    body = {"prompt": "bal", "max_tokens": 8, "temperature": 1}
                    statuses.append(client.post("/v1/completions", json=body).status_code)

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for each in askers:
            each.start()
        for _ in range(2):
            models = live.service.models.all
            asyncio.run(live.service.load())
            assert live.service.models.all != models
            del models
            time.sleep(0.1)
        stop.set()
        for each in askers:
            each.join()
        assert statuses and set(statuses) == {200}
        before.join(10)
        assert not before._thread.is_alive(), "a model that nobody asks any more ends its thread"


def test_a_model_that_cannot_be_loaded_ends_the_server(tiny_runs: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_runs["causal"] / "model", broken)
    (broken / "config.json").write_text("{}")
    service = Service(places_of([str(broken)]), ServingConfig())
    with running(service.app) as url:
        wait_until(lambda: service.failure is not None)
        assert httpx.get(f"{url}/health").status_code == 503
    assert "config.json" in str(service.failure)


def test_what_the_command_line_refuses(tmp_path: Path, tiny_runs: dict[str, Path]) -> None:
    model = str(tiny_runs["causal"])
    for arguments, told in (
        ([], "Missing argument"),
        ([str(tmp_path / "none")], "there is no such model or run folder"),
        ([model, "queue=0"], "serve.queue = 0: must be at least 1"),
        ([model, "quueue=1"], "did you mean 'queue'?"),
        (["queue=1"], "name a model or run folder"),
        ([model, "--port", "70000"], "serve.port = 70000"),
    ):
        done = headway("serve", *arguments)
        assert done.returncode == 2 and told in done.stderr, (arguments, done.stderr)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_the_program_reloads_on_a_signal_and_ends_well(tiny_runs: dict[str, Path], tmp_path: Path) -> None:
    log = (tmp_path / "log").open("w+")
    command = [sys.executable, "-m", "headway", "serve", str(tiny_runs["causal"]), "--port", "0"]
    process: Any = subprocess.Popen(command, stderr=log, text=True)
    try:

        def said() -> str:
            return (tmp_path / "log").read_text()

        wait_until(lambda: "serving on" in said())
        url = said().split("serving on ")[1].split()[0]
        wait_until(lambda: httpx.get(f"{url}/health").status_code == 200)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "models loaded anew: causal" in said())
        assert httpx.post(f"{url}/v1/completions", json={"prompt": "bal"}).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
        assert "Traceback" not in said()
    finally:
        process.kill()
        process.wait()
        log.close()
