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


def read(path: Path) -> str:
    return path.read_text("utf-8")


def only_held(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Of what was found in files, those in which something was."""
    return {name: offences for name, offences in found.items() if offences}


def offences(text: str) -> Iterator[str]:
    """The reasons against a module's text."""
    yield from (reason for pattern, reason in FORBIDDEN_IN_MODULES.items() if re.search(pattern, text))


def imports(path: Path) -> dict[str, list[str]]:
    """The names that a module imports, by module."""
    return {file: names.split(", ") for names, file in IMPORT.findall(read(path))}


def test_there_is_a_page() -> None:
    assert PAGE.is_file() and MODULES and STYLES
    assert {path.suffix for path in FILES} <= {".html", ".js", ".css", ".svg"}, (
        "other kinds have no rules yet"
    )


def test_nothing_comes_from_elsewhere() -> None:
    elsewhere = r"(?:https?:)?//[a-z0-9-]+\.[a-z]|url\(|@import|data:[a-z]+/"
    found = {path.name: re.findall(elsewhere, read(path).replace(NAMESPACE, "")) for path in FILES}
    assert only_held(found) == {}


def test_files_are_short_and_narrow() -> None:
    def too_large(path: Path) -> list[str]:
        lines = read(path).splitlines()
        wide = [f"line {number}" for number, line in enumerate(lines, 1) if len(line) > MAX_WIDTH]
        return ["too long"] * (len(lines) > MAX_LINES) + wide * (path.suffix != ".svg")

    assert only_held({path.name: too_large(path) for path in FILES}) == {}


def test_modules_say_what_they_are_and_hold_nothing_forbidden() -> None:
    assert [path.name for path in MODULES if not read(path).startswith("// ")] == []
    assert only_held({path.name: list(offences(read(path))) for path in MODULES}) == {}


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
    page = read(PAGE)
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", page)
    assert re.findall(r"<script\b[^>]*>(.*?)</script>", page, re.DOTALL) == [""]


def test_the_page_names_files_that_are_there() -> None:
    named = re.findall(r'(?:href|src)="static/([^"]+)"', read(PAGE))
    assert {PAGE.name, *named} <= {path.name for path in FILES}
    assert {path.name for path in STYLES} <= set(named)


def test_imports_are_one_a_line_used_and_exported() -> None:
    assert only_held({path.name: list(odd_imports(path)) for path in MODULES}) == {}


def odd_imports(path: Path) -> Iterator[str]:
    """Imports of a module that are written otherwise, lead nowhere or are of no use."""
    lines = [line for line in read(path).splitlines() if line.startswith("import")]
    yield from (line for line in lines if not IMPORT.fullmatch(line))
    body = "\n".join(line for line in read(path).splitlines() if line not in lines)
    for file, names in imports(path).items():
        exported = EXPORT.findall(read(STATIC / file))
        yield from (f"{each}: {file} does not export it" for each in names if each not in exported)
        yield from (f"{each}: not used" for each in names if not re.search(rf"\b{each}\b", body))


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
    exported = {(path.name, each) for path in MODULES for each in EXPORT.findall(read(path))}
    assert exported <= imported


def test_top_level_names_are_unique() -> None:
    """A name means one thing on the whole page; constants belong to their module."""
    counts = Counter(each for path in MODULES for each in TOP_LEVEL.findall(read(path)))
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


def test_colours_can_be_told_apart() -> None:
    """Text and the edges of controls stand out from every ground, in both themes."""
    colours = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", read(STATIC / "base.css")))
    themes = [{key: both.split(", ")[theme] for key, both in colours.items()} for theme in (0, 1)]
    least = {"ink": 7, "muted": 4.5, "accent": 4.5, "edge": 3}
    grounds = ("ground", "card", "raised", "chosen")
    pairs = [(theme, ink, ground) for theme in themes for ink in least for ground in grounds]
    faint = [
        (ink, ground) for theme, ink, ground in pairs if contrast(theme[ink], theme[ground]) < least[ink]
    ]
    assert faint == []
