"""A run as the page sees it, whatever state its folder is in."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from headway.run_folder import RunFolder
from headway.serving import dashboard, errors
from headway.serving.dashboard import dashboard_router

RECIPE = """
seed = 3
[data]
train = ["/home/someone/secret/pairs.tsv", "-"]
cache = "/home/someone/cache"
[optimizer]
clip = 0.5
rate = nan
"""


def line(step: int, **more: Any) -> str:
    return json.dumps({"step": step, "loss": 1.0, **more}) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.toml").write_text(RECIPE, "utf-8")
    (folder / "metrics.jsonl").write_text(line(10) + line(20) + line(30), "utf-8")
    return folder


@pytest.fixture
def client(folder: Path) -> TestClient:
    app = FastAPI()
    app.state.models = SimpleNamespace(runs={"mine": folder})
    errors.install(app)
    app.include_router(dashboard_router())
    return TestClient(app)


def ask(client: TestClient, after: int = 0) -> Any:
    response = client.get("/api/runs/mine", params={"after": after})
    assert response.status_code == 200, response.text
    return response.json()


def test_what_is_new_comes_after_what_is_known(client: TestClient, folder: Path) -> None:
    first = ask(client)
    assert [each["step"] for each in first["metrics"]] == [10, 20, 30]
    assert (first["lines"], first["clip"], first["samples"]) == (3, 0.5, [])
    assert ask(client, after=3)["metrics"] == []
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(line(40))
    assert [each["step"] for each in ask(client, after=3)["metrics"]] == [40]


def test_a_line_that_is_being_written_waits(client: TestClient, folder: Path) -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(line(40)[:-5])
    assert ask(client)["lines"] == 3


def test_broken_lines_keep_their_place_and_no_number_is_null(client: TestClient, folder: Path) -> None:
    text = (
        line(10) + "{broken\n[1]\n" + line(40, gradient_norm=float("inf"), validation={"loss": float("nan")})
    )
    (folder / "metrics.jsonl").write_text(text, "utf-8")
    metrics = ask(client)["metrics"]
    assert [each.get("step") for each in metrics] == [10, None, None, 40]
    assert metrics[-1]["gradient_norm"] is None
    assert metrics[-1]["validation"] == {"loss": None}


def test_long_runs_come_in_parts(client: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "MOST_LINES", 2)
    assert [each["step"] for each in ask(client)["metrics"]] == [10, 20]
    assert [each["step"] for each in ask(client, after=2)["metrics"]] == [30]


def test_a_resumed_run_has_fewer_lines_than_were_known(client: TestClient) -> None:
    answer = ask(client, after=9)
    assert (answer["metrics"], answer["lines"]) == ([], 3)


def test_states(client: TestClient, folder: Path) -> None:
    assert ask(client)["state"] == "stopped"
    with RunFolder(folder).locked():
        assert ask(client)["state"] == "running"
    assert ask(client)["state"] == "stopped"
    (folder / "run.lock").touch()  # a process was killed
    assert ask(client)["state"] == "stopped"
    (folder / "model").mkdir()
    assert ask(client)["state"] == "finished"


def test_no_folder_of_the_machine_is_told(client: TestClient, folder: Path) -> None:
    response = client.get("/api/runs/mine")
    assert "someone" not in response.text
    assert response.json()["recipe"]["data"]["train"] == ["pairs.tsv", "-"]
    assert response.json()["recipe"]["data"]["cache"] == "cache"
    assert response.json()["recipe"]["optimizer"]["rate"] is None


def test_unknown_and_vanished_runs_are_refused(client: TestClient, folder: Path) -> None:
    for name in ("other", "..", "%2e%2e%2fmine"):
        response = client.get(f"/api/runs/{name}")
        assert response.status_code == 404
        assert str(folder.parent) not in response.text
    shutil.rmtree(folder)
    response = client.get("/api/runs/mine")
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "this run cannot be read any more"
