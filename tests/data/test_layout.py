"""How the layout of files is found out."""

from pathlib import Path

import pytest

from headway.data.layout import Layout, decide_layout
from headway.errors import DataError, RecipeError


def decided(folder: Path, files: dict[str, str], pairs: bool) -> tuple[Layout, str]:
    for name, content in files.items():
        (folder / name).write_text(content, "utf-8")
    return decide_layout("auto", [str(folder / name) for name in files], pairs)


@pytest.mark.parametrize(
    ("files", "pairs", "layout"),
    [
        ({"a.tsv": "x\ty\n"}, True, "pairs"),
        ({"a.txt": "no tab here\nx\ty\nz\ty\n"}, True, "pairs"),
        ({"a.de": "x\n", "a.en": "y\n"}, True, "parallel"),
        ({"a.jsonl": "anything"}, True, "jsonl"),
        ({"a.txt": '{"source": "x", "target": "y\\t"}\n'}, True, "jsonl"),
        ({"a.jsonl": ""}, False, "jsonl"),
        ({"a.txt": "x\ny\n\n"}, False, "lines"),
        ({"a.txt": "\nx\n\ny\n"}, False, "documents"),
        ({"a.txt": "x\ny\n", "b.txt": "x\n\ny\n", "c.txt": ""}, False, "documents"),
        ({"a.txt": "{a set}\n"}, False, "lines"),
    ],
)
def test_suffix_and_content_decide(files: dict[str, str], pairs: bool, layout: str, tmp_path: Path) -> None:
    found, reason = decided(tmp_path, files, pairs)
    assert found == layout
    assert any(name in reason for name in files)


def test_what_cannot_be_decided_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt, line 1: missing tab"):
        decided(tmp_path, {"a.txt": "no tab\n"}, True)
    with pytest.raises(DataError, match="not of one layout"):
        decided(tmp_path, {"a.txt": "x\ty\n", "b.jsonl": "{}"}, True)
    with pytest.raises(DataError, match=r"empty\.txt: .*empty"):
        decided(tmp_path, {"empty.txt": ""}, False)


def test_a_layout_that_was_asked_for_must_fit_the_objective() -> None:
    assert decide_layout("file", ["any"], False) == ("file", "")
    with pytest.raises(RecipeError, match="pairs, parallel, jsonl"):
        decide_layout("lines", ["any"], True)
    with pytest.raises(RecipeError, match="lines, documents, file, jsonl"):
        decide_layout("pairs", ["any"], False)
