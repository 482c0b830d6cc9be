"""The whole site, built, and read in a browser from disk: no host is asked, and nothing goes wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from docs_build.__main__ import ROOT, SITE

from tests.serving.browser import Seen, chromium, needs_chromium

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def build() -> list[Path]:
    """The site, made anew; its pages."""
    done = subprocess.run(
        [sys.executable, "-m", "docs_build"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(SITE.rglob("*.html"))


@pytest.mark.slow
@needs_chromium
def test_it_builds_and_reads_from_disk() -> None:
    pages = build()
    assert len(pages) > 40
    with chromium() as browser:
        for view, scheme in ((WIDE, "light"), (NARROW, "dark")):
            seen = Seen(browser.new_context(viewport=view, color_scheme=scheme).new_page())  # type: ignore[arg-type]
            for page in pages:
                if page.name == "404.html":
                    continue
                seen.page.goto(page.as_uri())
                assert seen.page.title(), page
                assert seen.page.evaluate(OVERFLOW) <= 0, f"{page} is wider than a screen of {view['width']}"
                assert not seen.page.locator("article").get_by_text("$$").count(), page
            assert [address for address in seen.asked if not address.startswith(("file:", "data:"))] == []
            assert seen.wrong == []
        seen.page.set_viewport_size(WIDE)  # type: ignore[arg-type]
        seen.page.goto((SITE / "index.html").as_uri())
        seen.page.keyboard.press("Control+k")
        seen.page.keyboard.type("label smoothing")
        seen.page.get_by_text("matching document").first.wait_for()
        assert "reference/recipe.html" in seen.page.content()
        assert seen.wrong == []
