"""The page of promises tells the truth: each names a test that is there, each fault one that can be tried."""

import ast
import re
import sys

from tests.test_docs import DOCS, ROOT

sys.path.append(str(ROOT / "benchmarks"))

from faults import KINDS

PAGE = (DOCS / "reliability.md").read_text("utf-8")
PROMISES = PAGE.partition("## Faults, tried")[0]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_test_that_is_named_exists() -> None:
    named = TEST.findall(PAGE)
    assert len(named) > 40
    for path, name in named:
        assert name in names_in(path), f"{path}::{name}"


def test_each_promise_names_its_test() -> None:
    promises = re.findall(r"^- .*(?:\n  .*)*", PROMISES, re.MULTILINE)
    assert len(promises) > 25
    assert [promise for promise in promises if not TEST.search(promise)] == []


def test_each_fault_can_be_tried_as_told() -> None:
    words = re.findall(r"benchmarks/faults\.py --times \d+ --only \"?([^\"`]+)\"?`", PAGE)
    chosen = {kind for word in words for kind in KINDS if word in kind}
    assert chosen == set(KINDS)
    assert [word for word in words if not any(word in kind for kind in KINDS)] == []
