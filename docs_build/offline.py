"""Cuts what the generator's theme would load from elsewhere: the site must read without a network."""

import os
import re
from pathlib import Path

WORKER_SCRIPT = re.compile(r'"https://unpkg\.com/iframe-worker/shim"')
OWN_WORKER_SCRIPT = Path("assets", "file-worker.js")

SERVERS = re.compile(r"https://(?:unpkg\.com|cdn\.jsdelivr\.net|api\.github\.com)/")
"""Where the theme's script would get diagrams, galleries and consoles from, if a page had any."""

EMPTY = "data:,"


def cut_off(site: Path) -> None:
    """Leave no address of another host in scripts; the search of pages from disk gets a script of ours."""
    for path in sorted(site.rglob("*.html")):
        own = Path(os.path.relpath(site / OWN_WORKER_SCRIPT, path.parent)).as_posix()
        text = path.read_text("utf-8")
        path.write_text(WORKER_SCRIPT.sub(f'"{own}"', text), "utf-8")
    for path in sorted((site / "assets" / "javascripts").rglob("*.js")):
        path.write_text(SERVERS.sub(EMPTY, path.read_text("utf-8")), "utf-8")
