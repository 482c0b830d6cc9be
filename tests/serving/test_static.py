"""The rules of the page's files: nothing from elsewhere, nothing read as HTML, modules fit for one file."""

import re
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

STATIC = Path(str(files("headway"))) / "serving" / "static"
FILES = sorted(path for path in STATIC.iterdir())
MODULES = [path for path in FILES if path.suffix == ".js"]
STYLES = [path for path in FILES if path.suffix == ".css"]
PAGE = STATIC / "index.html"

MAX_LINES, MAX_WIDTH = 400, 110

IMPORT = re.compile(r'import \{ ([\w, ]+) \} from "\./([\w-]+\.js)";')
EXPORT = re.compile(r"^export (?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)
TOP_LEVEL = re.compile(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)
NAMESPACE = "http://www.w3.org/2000/svg"
"""The name of a format, which nobody fetches."""

FORBIDDEN_IN_MODULES = {
    r"\b(inner|outer)HTML\b|insertAdjacentHTML|document\.write|DOMParser|srcdoc": "text enters as text nodes",
    r"\beval\(|new Function|setTimeout\(\s*[\"'`]": "no text becomes code",
    r"\bimport\(|import\.meta|export default|export \*|export \{|import \*": "imports are plain, one a line",
    r"</script": "a module may be put into a page",
    r"\.setAttribute\(\s*[\"'`](style|on\w+)": "inline styles and handlers are refused by the page's policy",
    r"\blocation\s*=|\bdocument\.cookie\b": "the page stays where it is, and keeps no cookie",
}
"""What no module may hold, with the reason."""


def name(path: Path) -> str:
    return path.name


def offences(text: str) -> Iterator[str]:
    """The reasons against a module's text."""
    yield from (reason for pattern, reason in FORBIDDEN_IN_MODULES.items() if re.search(pattern, text))


def imports(path: Path) -> dict[str, list[str]]:
    """The names that a module imports, by module."""
    return {file: names.split(", ") for names, file in IMPORT.findall(path.read_text("utf-8"))}


def test_there_is_a_page() -> None:
    assert PAGE.is_file() and MODULES and STYLES
    assert {path.suffix for path in FILES} <= {".html", ".js", ".css", ".svg"}, (
        "other kinds have no rules yet"
    )


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text("utf-8").replace(NAMESPACE, "")
    found = re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]|url\(|@import|data:[a-z]+/", text)
    assert not found, found


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_are_short_and_narrow(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= MAX_LINES
    wide = [number for number, line in enumerate(lines, 1) if len(line) > MAX_WIDTH and path.suffix != ".svg"]
    assert not wide, f"lines {wide}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_modules_say_what_they_are_and_hold_nothing_forbidden(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("// ")
    assert not list(offences(text))


@pytest.mark.parametrize(
    "text",
    [
        "e.innerHTML = text",
        "eval(text)",
        'import("./a.js")',
        "export default 1",
        'e.setAttribute("onclick", x)',
    ],
)
def test_the_rules_see_offences(text: str) -> None:
    assert list(offences(text))


def test_the_page_has_nothing_inline() -> None:
    page = PAGE.read_text("utf-8")
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", page)
    assert re.findall(r"<script\b[^>]*>(.*?)</script>", page, re.DOTALL) == [""]


def test_the_page_names_files_that_are_there() -> None:
    named = re.findall(r'(?:href|src)="static/([^"]+)"', PAGE.read_text("utf-8"))
    assert {PAGE.name, *named} <= {path.name for path in FILES}
    assert {path.name for path in STYLES} <= set(named)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_are_one_a_line_used_and_exported(path: Path) -> None:
    lines = [line for line in path.read_text("utf-8").splitlines() if line.startswith("import")]
    assert all(IMPORT.fullmatch(line) for line in lines)
    body = "\n".join(line for line in path.read_text("utf-8").splitlines() if line not in lines)
    for file, names in imports(path).items():
        exported = EXPORT.findall((STATIC / file).read_text("utf-8"))
        assert set(names) <= set(exported), file
        unused = [each for each in names if not re.search(rf"\b{each}\b", body)]
        assert not unused, f"imported and not used: {unused}"


def test_every_module_is_reached_from_the_first_without_a_circle() -> None:
    done: set[str] = set()

    def visit(file: str, above: tuple[str, ...]) -> None:
        assert file not in above, f"a circle: {[*above, file]}"
        for needed in imports(STATIC / file):
            visit(needed, (*above, file))
        done.add(file)

    visit("main.js", ())
    assert done == {path.name for path in MODULES}


def test_what_is_exported_is_used() -> None:
    imported = {(file, each) for path in MODULES for file, names in imports(path).items() for each in names}
    exported = {(path.name, each) for path in MODULES for each in EXPORT.findall(path.read_text("utf-8"))}
    assert exported <= imported


def test_top_level_names_are_unique() -> None:
    """A name means one thing on the whole page; constants belong to their module."""
    counts = Counter(each for path in MODULES for each in TOP_LEVEL.findall(path.read_text("utf-8")))
    twice = {each for each, count in counts.items() if count > 1 and not each.isupper()}
    assert not twice


def contrast(one: str, other: str) -> float:
    """The contrast of two colours #rrggbb, from 1 to 21 (Web Content Accessibility Guidelines, 1.4.3)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_knows_its_ends() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#777777") == 1


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["ground", "card", "raised", "chosen"])
@pytest.mark.parametrize(("ink", "least"), [("ink", 7), ("muted", 4.5), ("accent", 4.5), ("edge", 3)])
def test_colours_can_be_told_apart(theme: int, ground: str, ink: str, least: float) -> None:
    """Text and the edges of controls stand out from every ground, in both themes."""
    colours = dict(
        re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", (STATIC / "base.css").read_text("utf-8"))
    )
    assert contrast(colours[ink].split(", ")[theme], colours[ground].split(", ")[theme]) >= least
