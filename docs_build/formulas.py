"""Formulas in pages, `$…$` in a line and `$$…$$` apart, as MathML, which browsers show without a script."""

import re
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.blockprocessors import BlockProcessor
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

IN_LINE = r"(?<![\\$\w])\$(?=\S)([^$]{1,400}?)(?<=\S)\$(?![\w$])"


def mathml(latex: str, display: str) -> str:
    """The formula. Raises ValueError for a command that is not known."""
    made = convert(latex.strip(), display=display)
    if unknown := re.search(r"\\[A-Za-z]+", made):
        raise ValueError(f"{unknown[0]} in the formula {latex} is not known")
    return made


class InLine(InlineProcessor):
    """`$…$`; code comes before it, and all else after."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:  # noqa: N802 (the library's name)
        return self.md.htmlStash.store(mathml(m[1], "inline")), m.start(0), m.end(0)


class Apart(BlockProcessor):
    """`$$…$$`, a paragraph by itself."""

    def test(self, parent: Element, block: str) -> bool:
        return len(block) > 4 and block.startswith("$$") and block.rstrip().endswith("$$")

    def run(self, parent: Element, blocks: list[str]) -> None:
        formula = mathml(blocks.pop(0).strip().strip("$"), "block")
        SubElement(parent, "div", {"class": "formula"}).text = self.parser.md.htmlStash.store(formula)


class Formulas(Extension):
    """Registers both."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (the library's name)
        md.inlinePatterns.register(
            InLine(IN_LINE, md), "formula", 185
        )  # after code (190), before escapes (180)
        md.parser.blockprocessors.register(Apart(md.parser), "formula", 95)


def makeExtension(**settings: Any) -> Formulas:  # noqa: N802 (the library's name)
    return Formulas(**settings)
