"""A real browser before a real server: Debian's Chromium without a window, driven by Playwright."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECONDS = 60
"""For anything to happen; a busy machine is slow."""

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason=f"needs a browser: one of {', '.join(NAMES)}")


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Seen:
    """A page of a browser, all that it asked for, and all that went wrong in it."""

    def __init__(self, page: Page) -> None:
        self.page, self.asked, self.wrong = page, list[str](), list[str]()
        page.set_default_timeout(1000 * SECONDS)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda line: self.wrong.append(line.text) if line.type == "error" else None)

    def open(self, address: str, view: str, settings: Mapping[str, Any]) -> None:
        """Open a view anew, and wait until it stands."""
        self.page.goto("about:blank")
        self.page.goto(f"{address}#{view}?{urlencode(settings)}")
        self.stands()

    def stands(self) -> None:
        """Wait until nothing is under way any more."""
        self.page.wait_for_selector('main#view[aria-busy="false"]')

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()


@contextmanager
def seen(browser: Browser, **settings: Any) -> Iterator[Seen]:
    """A page in which nothing may go wrong."""
    context = browser.new_context(viewport={"width": 1200, "height": 860}, **settings)
    found = Seen(context.new_page())
    try:
        yield found
        assert found.wrong == []
    finally:
        context.close()


@contextmanager
def serving(folders: Mapping[str, Path], models: int) -> Iterator[str]:
    """The address of `headway serve` in a process of its own, which has loaded so many models."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    named = [f"{name}={folder}" for name, folder in folders.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "headway", "serve", *named, "--port", str(port), "--device", "cpu"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        stop = time.monotonic() + 2 * SECONDS
        while _models(address) < models:
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < stop, "the server does not answer"
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(SECONDS)


def _models(address: str) -> int:
    try:
        with urlopen(f"{address}api/models", timeout=5) as answer:
            return len(json.load(answer)["models"])
    except OSError:
        return -1
