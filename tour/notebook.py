"""Executes the tour's notebook, without Jupyter: `python tour/notebook.py [--check]`.

What the cells print and show is written into docs/tour/tour.ipynb, and the page of it, docs/tour/notebook.md,
is made anew; with `--check` nothing is written. All code runs in one namespace, in a folder that is thrown
away. What goes to standard error, such as the progress of training, is no output.
"""

import argparse
import ast
import io
import json
import sys
import tempfile
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

PAGES = Path(__file__).parents[1] / "docs" / "tour"
NOTEBOOK, PAGE = PAGES / "tour.ipynb", PAGES / "notebook.md"

Notebook = dict[str, Any]
"""The content of a file of nbformat 4."""


def execute(notebook: Notebook) -> dict[str, Any]:
    """Runs the code cells in order, in the current folder; each gets its outputs. Gives all their names.

    Names the cell in which an error was raised.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        place = f"<cell {count}>"
        printed = io.StringIO()
        try:
            with redirect_stdout(printed):
                value = run("".join(cell["source"]), place, names)
        except Exception as error:
            error.add_note(f"in cell {count} of the notebook")
            raise
        cell["execution_count"] = count
        cell["outputs"] = outputs(printed.getvalue(), value, count)
    return names


def run(code: str, place: str, names: dict[str, Any]) -> Any:
    """Runs the code; the value of its last line, if that is an expression."""
    tree = ast.parse(code, place)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, place, "exec"), names)
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), place, "eval"), names)


def outputs(printed: str, value: Any, count: int) -> list[dict[str, Any]]:
    """What a cell printed and showed, as nbformat 4 has it."""
    found: list[dict[str, Any]] = []
    if printed:
        found.append({"name": "stdout", "output_type": "stream", "text": printed.splitlines(True)})
    if value is not None:
        data = {"text/plain": repr(value).splitlines(True)}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = [value._repr_html_()]
        found.append(
            {"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"}
        )
    return found


def page_of(notebook: Notebook) -> str:
    """The notebook as a page of the documentation."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {"text/plain": output.get("text", [])})
            if "text/html" in data:
                parts.append("".join(data["text/html"]))
            else:
                parts.append(f"```text\n{''.join(data['text/plain']).rstrip()}\n```")
    head, *rest = parts
    told = (
        "This page is a notebook, [tour.ipynb](tour.ipynb), as `python tour/notebook.py` executed it. It\n"
        "opens in Jupyter, and needs nothing but Headway."
    )
    return "\n\n".join([head, told, *rest]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="execute it, and write nothing")
    check = parser.parse_args().check
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        execute(notebook)
    if not check:
        NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")
        PAGE.write_text(page_of(notebook), "utf-8")
    print(f"{sum(cell['cell_type'] == 'code' for cell in notebook['cells'])} cells ran", file=sys.stderr)


if __name__ == "__main__":
    main()
