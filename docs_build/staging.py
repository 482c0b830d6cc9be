"""The pages of docs/ as the site's generator takes them, in a folder of their own.

What differs: the notes behind a fence's language, which tests read, become titles; links that lead out of
docs/ lead to a page that shows that file.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(r"(?P<ticks>`{3,})(?P<language>\w*) ?(?P<note>.*)")
LINK = re.compile(r"(?P<before>\]\()(?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?=\))")

CODE = re.compile(r"`[^`]+`")

TITLES = {"error": "message", "output": "among what is printed"}
"""What stands above a block with one of these notes."""

PROGRAMS = ("headway", ".venv/bin/headway", "make", "pip", "echo", "cat", "python", ".venv/bin/python")
"""What the first line of a block without a language begins with if it holds commands."""

LANGUAGES = {".py": "py", ".toml": "toml", ".json": "json", ".sh": "sh"}
"""How a file that is no page is coloured."""

SHOWN = "repository"
"""The folder of the site with files that lie outside of docs/."""


class DeadLinkError(Exception):
    """A link that cannot lead to where it says."""


@dataclass
class Staging:
    """Copies `docs` below `root` to `folder`, with the files outside that its pages link to."""

    root: Path
    docs: Path
    folder: Path
    shown: dict[Path, Path] = field(default_factory=dict)
    """Files outside of docs/, and where each lies in the folder."""

    def run(self) -> None:
        """Raises DeadLinkError for a link to a file that is not there, and to a folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for path in sorted(self.docs.rglob("*")):
            place = self.folder / path.relative_to(self.docs)
            if path.is_dir():
                place.mkdir(parents=True, exist_ok=True)
            elif path.suffix == ".md":
                self.write(place, path, path.read_text("utf-8"))
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
        done: set[Path] = set()
        while left := self.shown.keys() - done:  # a page that is shown may link further
            for path in sorted(left):
                self.write(self.shown[path], path, as_page(path, self.root))
            done |= left

    def write(self, place: Path, path: Path, text: str) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("\n".join(self.lines(place, path, text)) + "\n", "utf-8")

    def lines(self, place: Path, path: Path, text: str) -> Iterator[str]:
        """A page's lines, fences and links made what they are in the site."""
        open_with = ""
        lines = text.splitlines()
        for number, line in enumerate(lines):
            fence = FENCE.fullmatch(line)
            if fence and not open_with:
                open_with = fence["ticks"]
                first = lines[number + 1].split()[:1] if number + 1 < len(lines) else []
                yield header(fence, bool(first) and first[0] in PROGRAMS)
            elif fence and line == open_with:
                open_with = ""
                yield line
            else:
                yield line if open_with else self.prose(line, place, path)

    def prose(self, line: str, place: Path, path: Path) -> str:
        """A line outside of blocks. In a table's code the generator takes a | as it is, GitHub as `\\|`."""
        if line.startswith("|"):
            line = CODE.sub(lambda code: code[0].replace(r"\|", "|"), line)
        return LINK.sub(lambda link: self.link(link, place, path), line)

    def link(self, link: re.Match[str], place: Path, path: Path) -> str:
        """The same link, or one to the page that shows the file."""
        target = Path(os.path.normpath(path.parent / link["path"]))
        if path.is_relative_to(self.docs) and target.is_relative_to(self.docs):
            return link[0]
        if not target.is_file() or not target.is_relative_to(self.root):
            raise DeadLinkError(
                f"{path.relative_to(self.root)}: {link['path']}: there is no such file to be shown"
            )
        if target.is_relative_to(self.docs):
            shown = self.folder / target.relative_to(self.docs)
        elif target.suffix in (".png", ".svg"):
            shown = self.folder / SHOWN / target.relative_to(self.root)
            shown.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target, shown)
        else:
            name = target.relative_to(self.root).with_suffix("") if target.suffix == ".md" else target.name
            shown = self.folder / SHOWN / target.relative_to(self.root).parent / f"{Path(name).name}.md"
            self.shown[target] = shown
        return f"{link['before']}{os.path.relpath(shown, place.parent)}{link['anchor'] or ''}"


def header(fence: re.Match[str], holds_commands: bool) -> str:
    """The first line of a fenced block, its note as a title."""
    language, note = fence["language"] or ("sh" if holds_commands else "text"), fence["note"]
    name = note.removeprefix("file=").removeprefix("like=")
    title = "" if note.startswith("elsewhere: ") else TITLES.get(note, name)
    return f'{fence["ticks"]}{language} title="{title}"' if title else f"{fence['ticks']}{language}"


def as_page(path: Path, root: Path) -> str:
    """A file outside of docs/ as a page: Markdown as it is, all else as code."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        return text
    language = LANGUAGES.get(path.suffix, "text")
    exclude = "---\nsearch:\n  exclude: true\n---\n\n"
    return f"{exclude}# {path.relative_to(root)}\n\n````{language}\n{text.rstrip()}\n````\n"
