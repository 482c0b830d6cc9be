"""The checks of a built site see offences."""

from pathlib import Path

import pytest
from docs_build.__main__ import CONFIG, DOCS
from docs_build.checks import dead_links, hosts_loaded, misplaced_pages, navigation
from docs_build.offline import cut_off


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>'),
        ("a.html", '<link rel="stylesheet" href="//cdn.example/x.css">'),
        ("a.html", '<img srcset="https://cdn.example/x.png">'),
        ("a.html", '<p style="background: url(https://cdn.example/x.png)">'),
        ("a.html", "<style>@import 'https://cdn.example/x.css';</style>"),
        ("a.html", '<script>fetch("https://cdn.example/x")</script>'),
        ("a.css", "@font-face { src: url('https://cdn.example/x.woff2') }"),
        ("a.js", "load(`https://cdn.example/x.js`)"),
        ("a.svg", '<svg><image href="https://cdn.example/x.png"/></svg>'),
    ],
)
def test_what_loads_from_elsewhere_is_seen(name: str, text: str, tmp_path: Path) -> None:
    write(tmp_path, name, text)
    assert list(hosts_loaded(tmp_path)) == [f"{name}: would load from cdn.example"]


def test_links_for_readers_may_lead_anywhere(tmp_path: Path) -> None:
    write(tmp_path, "a.html", '<a href="https://example.org">x</a><svg xmlns="http://www.w3.org/2000/svg"/>')
    assert list(hosts_loaded(tmp_path)) == []


@pytest.mark.parametrize("address", ["no.html", "sub/", "b.html#no", "#no", "../a.png"])
def test_dead_links_are_seen(address: str, tmp_path: Path) -> None:
    write(tmp_path, "a.html", f'<a href="{address}">x</a>')
    write(tmp_path, "b.html", '<h1 id="top">x</h1>')
    assert len(list(dead_links(tmp_path))) == 1


def test_live_links_are_fine(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a.html",
        '<a id="me" href="#me"></a><a href="sub/b.html#top">x</a><a href="mailto:x@y.z">y</a>',
    )
    write(tmp_path, "sub/b.html", '<h1 id="top">x</h1><a href="../a.html">y</a>')
    assert list(dead_links(tmp_path)) == []


def test_every_page_is_in_the_navigation() -> None:
    assert list(misplaced_pages(CONFIG, DOCS)) == []
    assert navigation(CONFIG)[0] == "index.md"


def test_misplaced_pages_are_seen(tmp_path: Path) -> None:
    write(tmp_path, "site.toml", '[project]\nnav = ["a.md", { "B" = [{ "C" = "c.md" }, "a.md"] }]\n')
    write(tmp_path, "docs/a.md", "")
    write(tmp_path, "docs/sub/b.md", "")
    assert list(misplaced_pages(tmp_path / "site.toml", tmp_path / "docs")) == [
        "sub/b.md: is missing from the navigation",
        "c.md: the navigation names it, but there is none",
        "a.md: stands twice in the navigation",
    ]


def test_scripts_are_cut_off_from_the_network(tmp_path: Path) -> None:
    shim = '<script src="https://unpkg.com/iframe-worker/shim"></script>'
    write(tmp_path, "a.html", shim)
    write(tmp_path, "sub/b.html", shim)
    write(tmp_path, "assets/javascripts/bundle.js", 'load("https://unpkg.com/mermaid@12/mermaid.js")')
    cut_off(tmp_path)
    assert list(hosts_loaded(tmp_path)) == []
    assert (tmp_path / "sub/b.html").read_text("utf-8") == '<script src="../assets/file-worker.js"></script>'
