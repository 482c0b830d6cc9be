"""What a built site must be: all pages in the navigation, all links alive, nothing loaded from elsewhere."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LOADS = {"src", "srcset", "data", "poster", "action", "background"}
"""Attributes whose address a browser loads by itself; `href` only where it is no link for readers."""

READ_ONLY = {"a", "area"}

IN_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?(?:https?:)?//([\w.-]+)""")
IN_SCRIPTS = re.compile(r"""["'`](?:https?|wss?)://([\w.-]+)""")

SEARCH_INDEX = "search.js"
"""The words of the pages, which may speak of any address."""

NAMESPACES = {"www.w3.org"}
"""Names of XML vocabularies, which nothing loads."""


@dataclass
class Page(HTMLParser):
    """What a page of HTML holds: its anchors, its links, and what a browser would load for it."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        held = {name: value or "" for name, value in attrs}
        self.anchors |= {held[name] for name in ("id", "name") if name in held}
        self.styles.append(held.get("style", ""))
        for name, value in held.items():
            if name == "href" and tag in READ_ONLY:
                self.links.append(value)
            elif name in LOADS or name in ("href", "xlink:href"):
                self.loads.append(value)

    def handle_data(self, data: str) -> None:
        if self.inside in ("style", "script"):
            (self.styles if self.inside == "style" else self.scripts).append(data)

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def read_page(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text("utf-8"))
    return page


def hosts_loaded(site: Path) -> Iterator[str]:
    """Each foreign host that a file of the site would load something from."""
    for path in sorted(site.rglob("*")):
        name = path.relative_to(site)
        if path.suffix == ".html":
            page = read_page(path)
            found = [urlsplit(each).netloc for each in page.loads if urlsplit(each).netloc]
            found += [host for style in page.styles for host in IN_STYLES.findall(style)]
            found += [host for script in page.scripts for host in IN_SCRIPTS.findall(script)]
        elif path.suffix == ".css":
            found = IN_STYLES.findall(path.read_text("utf-8"))
        elif path.suffix in (".js", ".mjs") and path.name != SEARCH_INDEX:
            found = IN_SCRIPTS.findall(path.read_text("utf-8"))
        elif path.suffix == ".svg":
            found = re.findall(r'(?:src|href)="https?://([\w.-]+)', path.read_text("utf-8"))
        else:
            continue
        yield from (f"{name}: would load from {host}" for host in found if host not in NAMESPACES)


def dead_links(site: Path) -> Iterator[str]:
    """Each address inside the site that leads to no file, or to no anchor of its page."""
    pages = {path: read_page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        for address in (*page.links, *page.loads):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                yield f"{path.relative_to(site)}: {address}: there is no such file"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{path.relative_to(site)}: {address}: there is no such place in the page"


def navigation(config: Path) -> list[str]:
    """The pages that the site's navigation names, in order."""
    return list(_named(tomllib.loads(config.read_text("utf-8"))["project"]["nav"]))


def _named(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for inner in entry.values() if isinstance(entry, dict) else entry:
            yield from _named(inner)


def misplaced_pages(config: Path, docs: Path) -> Iterator[str]:
    """Pages that the navigation lacks, names twice, or names though they are not there."""
    named = navigation(config)
    there = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    yield from (f"{name}: is missing from the navigation" for name in sorted(there - set(named)))
    yield from (f"{name}: the navigation names it, but there is none" for name in sorted(set(named) - there))
    yield from (
        f"{name}: stands twice in the navigation" for name in sorted(set(named)) if named.count(name) > 1
    )
