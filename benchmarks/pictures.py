"""Pictures of the page for the documentation: python benchmarks/pictures.py NAME=FOLDER …

The models are served, the page is opened in Debian's chromium, and every view that suits a model is kept in
docs/images/. Needs the packages `playwright` and `pillow`, and /usr/bin/chromium.
"""

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
)
IMAGES = Path(__file__).parents[1] / "docs" / "images"
MOST_BYTES = 200_000
WIDTH, HEIGHT = 1180, 800
PHONE = 390

SENTENCE = "And the king said unto his servants, Go and see how the men of the city do."
BLANKS = "And the ___ said unto his servants, Go and see how the men of the ___ do."
CODE = "    def __init__("


class Picture(NamedTuple):
    """One picture: of which kind of model, at which address, and what to do before it is taken."""

    name: str
    architecture: str
    view: str
    settings: dict[str, str | int]
    point: tuple[float, float] | None = None
    """Where the pointer rests, in the picture's own coordinates."""
    dark: bool = False
    width: int = WIDTH


PICTURES = [
    Picture("translate", "encoder-decoder", "use", {"source": SENTENCE}),
    Picture("fill", "encoder", "use", {"text": BLANKS}),
    Picture("complete", "decoder", "use", {"text": CODE, "top_k": 8}),
    Picture("attention-lines", "encoder-decoder", "attention", {"source": SENTENCE, "stack": "memory"}),
    Picture(
        "attention-word",
        "encoder-decoder",
        "attention",
        {"source": SENTENCE, "stack": "memory", "words": 1},
        point=(60, 190),
        dark=True,
    ),
    Picture(
        "attention-map",
        "encoder-decoder",
        "attention",
        {"source": SENTENCE, "stack": "memory", "style": "map", "heads": 2},
    ),
    Picture(
        "attention-heads",
        "encoder-decoder",
        "attention",
        {"source": SENTENCE, "stack": "encoder", "style": "grid"},
    ),
    Picture("attention-phone", "encoder-decoder", "attention", {"source": SENTENCE}, dark=True, width=PHONE),
    Picture("tree", "encoder-decoder", "tree", {"source": SENTENCE, "beams": 3}),
    Picture("guesses", "encoder-decoder", "guesses", {"source": SENTENCE}),
    Picture("positions", "encoder-decoder", "positions", {}),
    Picture("masks", "encoder-decoder", "masks", {"source": SENTENCE}),
    Picture("training", "encoder-decoder", "training", {}),
]


@contextmanager
def served(models: list[str]) -> Iterator[str]:
    """The address of a server of these models."""
    command = [sys.executable, "-m", "headway", "serve", *models, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            address = next(found[0] for line in server.stderr if (found := re.search(r"http://\S+", line)))
            yield address
        finally:
            server.terminate()


def take(browser: Browser, address: str, model: str, picture: Picture) -> bytes:
    """A view as PNG, as high as its content but no higher than a screen."""
    page = browser.new_page(
        viewport={"width": picture.width, "height": HEIGHT},
        color_scheme="dark" if picture.dark else "light",
        device_scale_factor=2 if picture.width == PHONE else 1,
    )
    key = "run" if picture.view == "training" else "model"
    page.goto(f"{address}/#{picture.view}?{urlencode({key: model, **picture.settings})}")
    page.wait_for_selector('main#view[data-view][aria-busy="false"]', timeout=60_000)
    if picture.point:
        box = page.locator("#picture").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + picture.point[0], box["y"] + picture.point[1])
    if picture.name == "complete":
        write(page)
    page.wait_for_timeout(400)  # bars glide for a moment
    content = page.evaluate("document.querySelector('main').getBoundingClientRect().bottom - 30")
    height = min(HEIGHT if picture.width == PHONE else 900, int(content))
    found = page.screenshot(clip={"x": 0, "y": 0, "width": picture.width, "height": height}, full_page=True)
    page.close()
    return small(found)


def write(page: Page) -> None:
    """Have a continuation written, shaded token by token."""
    page.click("#continue")
    page.wait_for_selector("#continue:not([hidden])", timeout=60_000)


def small(picture: bytes) -> bytes:
    """The same PNG below the limit: where that is needed, with 6 bits a colour, which nobody sees."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for each in (image, image.point([value & 0xFC | value >> 6 for value in range(256)] * 3)):
        out = io.BytesIO()
        each.save(out, "PNG", optimize=True)
        if out.tell() < MOST_BYTES:
            return out.getvalue()
    raise ValueError(f"a picture has {out.tell()} bytes, at most {MOST_BYTES}")


def architectures(browser: Browser, address: str) -> dict[str, str]:
    """For each kind of model the first one served; waits until all are loaded."""
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("#model-choice option", state="attached", timeout=120_000)
    models: list[dict[str, Any]] = page.evaluate(
        "async () => (await (await fetch('api/models')).json()).models"
    )
    page.close()
    return {model["architecture"]: model["name"] for model in reversed(models)}


def main(models: list[str]) -> None:
    """Take all pictures that these models allow."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with served(models) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        kinds = architectures(browser, address)
        for picture in PICTURES:
            if picture.architecture not in kinds:
                print(f"{picture.name}: no {picture.architecture} is served", file=sys.stderr)
                continue
            content = take(browser, address, kinds[picture.architecture], picture)
            (IMAGES / f"{picture.name}.png").write_bytes(content)
            print(f"{picture.name}.png: {len(content) // 1000} kB")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
