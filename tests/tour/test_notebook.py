"""The notebook runs, speaks by public names alone, and holds what it put out."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import headway
from tour import notebook

pytestmark = pytest.mark.slow

HELD: dict[str, Any] = json.loads(notebook.NOTEBOOK.read_text("utf-8"))
CODE = [cell for cell in HELD["cells"] if cell["cell_type"] == "code"]


def source_of(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_it_is_a_notebook_of_nbformat_4() -> None:
    assert (HELD["nbformat"], HELD["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in HELD["cells"]}) == len(HELD["cells"])
    for cell in HELD["cells"]:
        expected = {"cell_type", "id", "metadata", "source"}
        if cell["cell_type"] == "code":
            expected |= {"execution_count", "outputs"}
        assert set(cell) == expected
    assert HELD["metadata"]["kernelspec"]["language"] == "python"


def test_it_was_executed_from_top_to_bottom() -> None:
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    for cell in CODE:
        last = ast.parse(source_of(cell)).body[-1]
        shows = isinstance(last, ast.Expr) and not ast.unparse(last).startswith("print(")
        kinds = [output["output_type"] for output in cell["outputs"]]
        assert set(kinds) <= {"stream", "execute_result"}
        assert ("execute_result" in kinds) == shows or "zero_" in source_of(cell)
    shown = json.dumps(CODE, ensure_ascii=False)
    assert "laws checked, all hold" in shown
    assert "BROKEN  source seen" in shown
    assert shown.count("text/html") >= 4


@pytest.mark.parametrize("cell", CODE, ids=lambda cell: cell["id"])
def test_only_public_names_are_used(cell: dict[str, Any]) -> None:
    for node in ast.walk(ast.parse(source_of(cell))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
            assert not any(str(name).startswith("headway.") for name in names)
            assert not (isinstance(node, ast.ImportFrom) and node.module == "headway")
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_")
            if isinstance(node.value, ast.Name) and node.value.id == "headway":
                assert node.attr in headway.__all__


def test_the_page_is_the_notebook() -> None:
    """So that tests/test_docs.py, which runs the page's code, runs every cell."""
    assert notebook.PAGE.read_text("utf-8") == notebook.page_of(HELD)


@pytest.mark.slow
def test_every_cell_runs_and_the_model_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    again = json.loads(json.dumps(HELD))
    names = notebook.execute(again)
    for before, after in zip(HELD["cells"], again["cells"], strict=True):
        kinds = [[each["output_type"] for each in cell.get("outputs", [])] for cell in (before, after)]
        assert kinds[0] == kinds[1]
    unseen = names["unseen"]
    right = [text[::-1] for text in unseen]
    assert (
        sum(each == wanted for each, wanted in zip(names["model"].predict(unseen), right, strict=True)) <= 4
    )
    fresh = headway.load("runs/reversed")
    assert fresh.predict(unseen) == right
    assert names["outcome"].metrics["accuracy"] > 0.95


def test_an_error_names_its_cell() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["x"]},
        {"cell_type": "code", "source": ["a = 1\n", "print(a)\n", "a + 1"]},
        {"cell_type": "code", "source": ["a / 0"]},
    ]
    with pytest.raises(ZeroDivisionError) as caught:
        notebook.execute({"cells": cells})
    assert caught.value.__notes__ == ["in cell 2 of the notebook"]
    assert cells[1]["outputs"] == notebook.outputs("1\n", 2, 1)
