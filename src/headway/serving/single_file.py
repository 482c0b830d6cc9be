"""The page as one HTML file, with modules, styles and recorded answers inside: it opens from disk."""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

MOST_SAVED_BYTES = 2**25
"""Of the answers that a browser sends to be put into a file."""

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
"""Nothing is loaded from anywhere, whatever the answers hold."""

STYLE = re.compile(r'<link rel="stylesheet" href="static/([\w.-]+)">')
ICON = re.compile(r'\s*<link rel="icon"[^>]*>')
ENTRY = re.compile(r'<script type="module" src="static/([\w.-]+)"></script>')
IMPORT = re.compile(r'^import \{ (.*) \} from "\./([\w.-]+)";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?function|class|const|let) (\w+)", re.MULTILINE)


def single_file(view: str, answers: Mapping[str, Any]) -> str:
    """The page that opens with `view` (the address after #, with it) and has these answers by request."""
    page = _static("index.html")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    recorded = json_for_script({"hash": view, "answers": answers})
    page = ICON.sub("", page).replace("<head>", f"<head>\n{policy}", 1)
    page = STYLE.sub(lambda match: f"<style>\n{_static(match[1])}</style>", page)
    return ENTRY.sub(
        lambda match: (
            f"<script>window.HEADWAY_RECORDED = {recorded};</script>\n"
            f'<script type="module">\n{inlined(match[1])}</script>'
        ),
        page,
    )


def inlined(entry: str) -> str:
    """A module and all that it imports as one script: each a function that gives what it exports."""
    done: dict[str, str] = {}

    def visit(name: str) -> None:
        text = _static(name)
        for _, needed in IMPORT.findall(text):
            if needed not in done:
                visit(needed)
        exported = ", ".join(found for _, found in EXPORT.findall(text))
        text = IMPORT.sub(lambda match: f"const {{ {match[1]} }} = {_variable(match[2])};", text)
        text = EXPORT.sub(r"\1 \2", text)
        done[name] = f"const {_variable(name)} = (() => {{\n{text}\nreturn {{ {exported} }};\n}})();\n"

    visit(entry)
    return "".join(done.values())


def _variable(name: str) -> str:
    """What holds the exports of a module."""
    return "module_" + re.sub(r"\W", "_", name)


def request_name(path: str, body: Mapping[str, Any] | None = None) -> str:
    """What an answer is kept under: the method, the path, and the canonical JSON of a body."""
    if body is None:
        return f"GET {path}"
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"POST {path} {canonical}"


def json_for_script(value: Any) -> str:
    """JSON that may stand inside a script element, whatever its texts hold: no tag can begin or end in it."""
    text = json.dumps(value, separators=(",", ":"))  # ASCII alone, so that no U+2028 ends a line
    return text.replace("<", "\\u003c")


def _static(name: str) -> str:
    return (files("headway") / "serving" / "static" / name).read_text("utf-8")
