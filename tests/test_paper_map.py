"""docs/paper-map.md leads from every part of the paper to code and tests that exist, and back."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.test_house import MODULES, PACKAGE, ROOT

PAGE = ROOT / "docs" / "paper-map.md"
SECTIONS = "1 2 3 3.1 3.2 3.2.1 3.2.2 3.2.3 3.3 3.4 3.5 4 5 5.1 5.2 5.3 5.4 6 6.1 6.2 6.3 7"
PARTS = {
    *(f"§{number}" for number in SECTIONS.split()),
    *(f"eq. {number}" for number in (1, 2, 3)),
    *(f"Figure {number}" for number in range(1, 6)),
    *(f"Table {number}" for number in range(1, 5)),
}
"""Of arXiv 1706.03762, version 7."""

PLACE = r"(?:§\d+(?:\.\d+)*(?:–\d+(?:\.\d+)*)?|eq\. \d(?!\d)|Table \d(?!\d)|Figure \d(?!\d))"
CITATION = re.compile(
    rf"[Pp]aper(?:'s)?[\s,:(]*(?:what )?((?:{PLACE}(?:,? and |, )?)+)|({PLACE}) (?:\({PLACE}\) )?of the paper"
)


@dataclass(frozen=True)
class Entry:
    """A row of the page: a part of the paper, symbols as (file, name), tests as (file, name), a remark."""

    part: str
    symbols: tuple[tuple[str, str], ...]
    tests: tuple[tuple[str, str], ...]
    remark: str


def named(cell: str) -> tuple[tuple[str, str], ...]:
    """Files with what is named after each: `a.py` `X` `Y` `b.py` `Z`."""
    found, file = [], ""
    for name in re.findall(r"`([^`]+)`", cell):
        if name.endswith(".py"):
            file = name
        else:
            found.append((file, name))
    return tuple(found)


def rows(header: str) -> Iterator[list[str]]:
    """The cells of all tables of the page whose first column has that heading."""
    inside = False
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == header:
            inside = True
        elif inside and not line.startswith("| ---"):
            yield cells


ENTRIES = [Entry(part, named(code), named(tests), remark) for part, _, code, tests, remark in rows("paper")]
SILENT = {
    (symbol, part): reason
    for code, parts, reason in rows("code")
    for symbol in named(code)
    for part in parts.split(", ")
}
"""Symbols that do not cite the part of the paper beside which they stand, with the reason."""


def place_of(file: str) -> Path:
    return ROOT / file if file.startswith("benchmarks/") else PACKAGE / file


def resolved(file: str, name: str) -> object:
    """The object of that name. Raises ImportError or AttributeError."""
    if file.startswith("benchmarks/"):
        sys.path.append(str(ROOT / "benchmarks"))
        module = Path(file).stem
    else:
        module = ".".join(("headway", *Path(file).with_suffix("").parts))
    return getattr(importlib.import_module(module), name)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def functions(path: Path) -> set[str]:
    return {node.name for node in parsed(path).body if isinstance(node, ast.FunctionDef)}


def words_of(path: Path, name: str) -> str:
    """What a module says of itself, and what it says in and right after the definition of a name."""
    tree = parsed(path)
    found = [ast.get_docstring(tree) or ""]
    for node, after in zip(tree.body, [*tree.body[1:], ast.Pass()], strict=True):
        match node:
            case ast.ClassDef() | ast.FunctionDef() if node.name == name:
                found.append(ast.get_source_segment(path.read_text("utf-8"), node) or "")
            case ast.Assign(targets=[ast.Name(id=target)]) | ast.AnnAssign(target=ast.Name(id=target)):
                if target == name and isinstance(after, ast.Expr):
                    found.append(ast.unparse(after))
    return "\n".join(found)


def citations(text: str) -> set[str]:
    """The parts of the paper that a text cites; of a range of sections every one."""
    found: set[str] = set()
    for match in CITATION.finditer(re.sub(r"\s+", " ", text)):
        for part in re.findall(PLACE, match[0]):
            first, _, last = part.partition("–")
            if not last:
                found.add(first)
                continue
            ordered = [f"§{number}" for number in SECTIONS.split()]
            found |= set(ordered[ordered.index(first) : ordered.index(f"§{last}") + 1])
    return found


def cites(text: str, part: str) -> bool:
    """Whether a text cites a part of the paper, or a part of that."""
    return any(cited == part or cited.startswith(f"{part}.") for cited in citations(text))


def test_every_part_of_the_paper_has_one_entry() -> None:
    told = [entry.part for entry in ENTRIES]
    assert len(told) == len(set(told))
    assert set(told) == PARTS


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.part)
def test_an_entry_leads_to_code_and_tests_or_says_why_not(entry: Entry) -> None:
    assert entry.symbols or entry.remark, "why is there no code?"
    assert bool(entry.symbols) == bool(entry.tests), "what is done is tested"
    for file, name in entry.symbols:
        resolved(file, name)
    for file, name in entry.tests:
        assert name in functions(ROOT / file), f"{file} has no {name}"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.part)
def test_code_cites_its_part_of_the_paper(entry: Entry) -> None:
    for file, name in entry.symbols:
        silent = ((file, name), entry.part) in SILENT
        cited = cites(words_of(place_of(file), name), entry.part)
        assert cited != silent, f"{file} {name} and {entry.part}: cited {cited}, said to be silent {silent}"


def test_reasons_are_for_entries_that_are_there() -> None:
    pairs = {(symbol, entry.part) for entry in ENTRIES for symbol in entry.symbols}
    assert set(SILENT) <= pairs
    assert all(SILENT.values())


def test_what_is_cited_exists_and_is_done() -> None:
    cited = {path: citations(path.read_text("utf-8")) for path in MODULES}
    wrong = {str(path): parts - PARTS for path, parts in cited.items() if parts - PARTS}
    assert wrong == {}
    done = {entry.part for entry in ENTRIES if entry.symbols}
    # a range of sections holds one that is about machines
    assert set[str]().union(*cited.values()) - done <= {"§5.2"}
    assert sum(map(bool, cited.values())) > 15


def test_citations_are_read_as_written() -> None:
    assert citations("dropout (Paper §3.4, §3.5, §5.4, which have no norm)") == {"§3.4", "§3.5", "§5.4"}
    assert citations("(Paper §3.2.1, eq. 1). A backend") == {"§3.2.1", "eq. 1"}
    assert citations("Defaults follow the paper (§5.2–5.4) where") == {"§5.2", "§5.3", "§5.4"}
    assert citations("or the paper's: what eq. 3 gives") == {"eq. 3"}
    assert citations("the\npaper's Table 3; (Wu et al. 2016, eq. 14), (Su et al. 2021, §3)") == {"Table 3"}
    assert citations("Table 1 of the paper, and Paper §9.9") == {"Table 1", "§9.9"}
    assert cites("Paper §3.2.1", "§3.2")
    assert not cites("Paper §3.2", "§3.2.1")
    assert not cites("Paper §5.1", "§5.1.1")


def test_the_checks_see_offenders() -> None:
    with pytest.raises(AttributeError):
        resolved("model/stack.py", "Stck")
    with pytest.raises(ImportError):
        resolved("model/stak.py", "Stack")
    assert "test_no_such" not in functions(ROOT / "tests" / "model" / "test_stack.py")
    with pytest.raises(AssertionError):
        test_code_cites_its_part_of_the_paper(Entry("Figure 4", (("model/stack.py", "Stack"),), (), ""))
    with pytest.raises(AssertionError):
        test_an_entry_leads_to_code_and_tests_or_says_why_not(Entry("§1", (), (), ""))
