"""A real server on a free port, in a thread."""

import faulthandler
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from headway.serving.server import Service, places_of
from headway.serving.settings import ServingConfig

LONGEST_START = 60.0


class Live:
    """A server that answers, and a client for it."""

    def __init__(self, service: Service, url: str) -> None:
        self.service, self.url = service, url
        self.client = httpx.Client(base_url=url, timeout=60)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.client.post(path, json=body)

    def answer(self, path: str, **body: Any) -> Any:
        """What a request gives that goes well."""
        response = self.post(path, **body)
        assert response.status_code == 200, response.text
        return response.json()


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """The address of an app that uvicorn serves."""
    config = uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=10)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started, "the server did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(LONGEST_START)
        if thread.is_alive():
            faulthandler.dump_traceback(all_threads=True)
            raise AssertionError("the server does not end; what its threads do is above")


@contextmanager
def serving(*things: str | Path, **settings: Any) -> Iterator[Live]:
    """A server of these folders, its models loaded."""
    service = Service(places_of(list(map(str, things))), ServingConfig(**settings), "cpu")
    with running(service.app) as url:
        live = Live(service, url)
        wait_until(lambda: not service.models.loading or service.failure is not None)
        try:
            yield live
        finally:
            live.client.close()


def wait_until(condition: Any, seconds: float = LONGEST_START) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.005)
