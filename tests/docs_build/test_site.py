"""The whole site, built, and read in a browser from disk: no host is asked, and nothing goes wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from docs_build.__main__ import CONFIG, ROOT, SITE
from docs_build.checks import navigation

from tests.serving.browser import Seen, chromium, needs_chromium

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def build() -> list[Path]:
    """The site, made anew; the pages of its navigation."""
    done = subprocess.run(
        [sys.executable, "-m", "docs_build"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [(SITE / name).with_suffix(".html") for name in navigation(CONFIG)]


@pytest.mark.slow
@needs_chromium
def test_it_builds_and_reads_from_disk() -> None:
    pages = build()
    with chromium() as browser:
        for size, scheme, chosen in ((NARROW, "dark", pages), (WIDE, "light", pages[::8])):
            view = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
            seen = Seen(view.new_page())
            for page in chosen:
                seen.page.goto(page.as_uri())
                assert seen.page.evaluate(OVERFLOW) <= 0, f"{page} is wider than a screen of {size['width']}"
                assert "$$" not in seen.page.locator("article").inner_text(), page
            assert [address for address in seen.asked if not address.startswith(("file:", "data:"))] == []
            assert seen.wrong == []
        seen.page.goto((SITE / "index.html").as_uri())
        seen.page.keyboard.press("Control+k")
        box = seen.page.locator("input[aria-label=Search]")  # made when the keys are pressed
        box.wait_for()
        box.fill("label smoothing")
        seen.page.get_by_text("Share of probability").first.wait_for()  # of the recipe's reference
        assert seen.wrong == []
