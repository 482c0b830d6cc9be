"""The program ends within its time when it is told to, whatever its clients do."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving.live import wait_until

TIMEOUT = 2
"""Seconds of a request; of the end one more, and some for a busy machine."""


def reads_nothing(port: int) -> socket.socket:
    """Asks again and again, until the server can write no more."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.settimeout(2)
    try:
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 4000)
    except TimeoutError:
        return client
    return client


def posts(path: str, body: object, sent: float = 1.0) -> Callable[[int], socket.socket]:
    """Posts a share of a body, and reads nothing."""

    def post(port: int) -> socket.socket:
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(head.encode() + content[: int(sent * len(content))])
        return client

    return post


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    "client",
    [
        reads_nothing,
        posts("/v1/completions", {"prompt": "bal", "max_tokens": 5000, "stream": True}),
        posts("/search-tree", {"text": "bal " * 100, "beams": 32}),
        posts("/v1/completions", {"prompt": "bal"}, sent=0.5),
    ],
    ids=["reads nothing", "streams", "looks", "half a body"],
)
def test_it_ends_in_time(
    client: Callable[[int], socket.socket], tiny_runs: dict[str, Path], tmp_path: Path
) -> None:
    log = (tmp_path / "log").open("w+")
    command = [sys.executable, "-m", "headway", "serve", str(tiny_runs["causal"]), f"timeout={TIMEOUT}"]
    process = subprocess.Popen([*command, "--port", "0"], stderr=log, text=True)
    try:
        wait_until(lambda: "serving on" in (tmp_path / "log").read_text())
        port = int((tmp_path / "log").read_text().split("serving on ")[1].split()[0].rpartition(":")[2])
        wait_until(lambda: loaded(port))
        clients = [client(port) for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT + 15) in (0, -signal.SIGTERM)
        for each in clients:
            each.close()
    finally:
        process.kill()
        process.wait()
        log.close()


def loaded(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port)) as asker:
        asker.sendall(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
        return b" 200 " in asker.recv(100)
