"""The rules of the house: budgets, who may import whom, no work at import, a README that tells the truth."""

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "headway"
MODULES = sorted(PACKAGE.rglob("*.py"))
RECIPES = sorted([*(ROOT / "recipes").glob("*.toml"), *(PACKAGE / "recipes").glob("*.toml")])

MAX_LINES, MAX_STATEMENTS, MAX_PARAMETERS, MAX_FIELDS = 400, 50, 7, 20

CORE = {"errors", "config", "batch"}
BASE = CORE | {"text", "model", "bundle", "run_folder", "runtime"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "batch": set(),
    "config": {"errors"},
    "runtime": {"errors"},
    "run_folder": {"errors"},
    "sealed_folder": {"errors", "config"},
    "text": {"errors", "config"},
    "model": CORE,
    "data": CORE | {"text"},
    "bundle": CORE | {"text", "model", "sealed_folder"},
    "model_card": {"bundle"},
    "decoding": CORE | {"text", "model", "bundle", "runtime"},
    "inspection": CORE | {"text", "model", "bundle", "decoding"},
    "training": CORE | {"text", "data", "model", "bundle", "sealed_folder", "runtime"},
    "evaluation": CORE | {"text", "data", "model", "bundle", "decoding"},
    # What puts them together, each on those before it.
    "api": BASE | {"decoding", "inspection"},
    "exchange": BASE | {"api", "data", "interop"},
    "recipe": CORE | {"start_from", "text", "data", "model", "runtime", "decoding.settings", "training"},
    "interop": BASE | {"api", "decoding", "model_card", "sealed_folder"},
    "serving": BASE | {"api", "decoding", "inspection"},
    "verification": BASE | {"api", "decoding", "exchange", "interop", "sealed_folder"},
    "judge": BASE | {"api", "data", "decoding", "evaluation"},
    "samples": BASE | {"api", "data", "decoding", "training"},
    "diagnosis": BASE | {"data", "inspection", "recipe", "sealed_folder", "training"},
    "preflight": BASE | {"data", "recipe", "training", "verification"},
    "start_from": BASE | {"training"},
    "trainer": BASE
    | {
        "api",
        "data",
        "diagnosis",
        "model_card",
        "preflight",
        "recipe",
        "samples",
        "sealed_folder",
        "start_from",
        "training",
    },
    "run": BASE | {"data", "preflight", "recipe", "sealed_folder", "start_from", "trainer", "training"},
    "planning": BASE | {"data", "recipe", "start_from", "decoding.settings", "training", "sealed_folder"},
    "launch": BASE | {"data", "planning", "preflight", "recipe", "run", "trainer", "training"},
    "sweep": BASE | {"evaluation", "launch", "recipe", "run", "sealed_folder", "trainer"},
    "overview": BASE | {"recipe", "training", "interop"},
    "demos": BASE | {"api", "data", "evaluation", "judge", "launch", "recipe", "run"},
}
ON_TOP = {"commands", "cli", "__init__", "__main__"}
"""What people call: it may import anything, and nothing below imports it."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def unit_of(path: Path) -> str:
    """The first part of a module's name below `headway`, which the table above speaks of."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), name_of(path))


def offences(paths: list[Path], rule: Callable[[ast.Module], Iterator[str]]) -> list[str]:
    """What a rule finds in files, with their names."""
    return [f"{name_of(path)}: {each}" for path in paths for each in rule(tree_of(path))]


def over_budget(tree: ast.Module) -> Iterator[str]:
    """What is too large in a module's functions and dataclasses."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            statements = sum(isinstance(inner, ast.stmt) for part in node.body for inner in ast.walk(part))
            statements -= ast.get_docstring(node) is not None
            named = node.args
            parameters = [*named.posonlyargs, *named.args, *named.kwonlyargs, named.vararg, named.kwarg]
            count = sum(p is not None and p.arg not in ("self", "cls") for p in parameters)
            if statements > MAX_STATEMENTS:
                yield f"{node.name} has {statements} statements, at most {MAX_STATEMENTS}"
            if count > MAX_PARAMETERS:
                yield f"{node.name} has {count} parameters, at most {MAX_PARAMETERS}"
        elif isinstance(node, ast.ClassDef):
            fields = sum(isinstance(inner, ast.AnnAssign) for inner in node.body)
            if fields > MAX_FIELDS and any("dataclass" in ast.unparse(d) for d in node.decorator_list):
                yield f"{node.name} has {fields} fields, at most {MAX_FIELDS}"


PURE_CALLS = {
    "files",
    "float",
    "frozenset",
    "get_args",
    "len",
    "max",
    "min",
    "np.uint64",
    "range",
    "re.compile",
    "replace",
    "timedelta",
}


def is_constant(value: ast.expr | None) -> bool:
    """Whether a value is put together of literals, names, types and frozen objects."""
    calls = [ast.unparse(node.func) for node in ast.walk(value or ast.Pass()) if isinstance(node, ast.Call)]
    return all(call in PURE_CALLS or call.split(".")[-1][0].isupper() for call in calls)


def work_at_import(tree: ast.Module) -> Iterator[str]:
    """Top-level statements that are no import, definition, docstring or constant."""
    for node in tree.body:
        match node:
            case (
                ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef()
            ):
                continue
            case ast.Expr(value=ast.Constant(value=str())):
                continue
            case ast.Assign(value=value) | ast.AnnAssign(value=value) if is_constant(value):
                continue
            case ast.Expr(value=ast.Call(func=ast.Call(func=func))) if ast.unparse(func) == "app.command":
                continue  # how typer is told the verbs
            case ast.If() if ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'"):
                continue
        yield f"line {node.lineno}: {ast.unparse(node).splitlines()[0]}"


def imports_of(tree: ast.AST, package: str) -> Iterator[str]:
    """Full names of all that a module imports, inside functions too; `package` resolves relative ones."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                base = ".".join([*above, *([module] if module else [])])
                yield from (f"{base}.{alias.name}" for alias in names)
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]):
                if ast.unparse(func).endswith(("import_module", "__import__")):
                    yield name


def forbidden_imports(tree: ast.AST, path: Path) -> Iterator[str]:
    """Imports of our own that the table does not allow to the unit of `path`."""
    unit = unit_of(path)
    package = ".".join(("headway", *path.relative_to(PACKAGE).parts[:-1]))
    for name in imports_of(tree, package):
        first, _, inside = name.partition(".")
        imported = inside.split(".")[0]
        if first != "headway" or imported == unit or unit in ON_TOP or inside == "__version__":
            continue
        allowed = MAY_IMPORT.get(unit, set())
        if not any(f"{inside}.".startswith(f"{prefix}.") for prefix in allowed):
            yield f"{unit} imports {name}"


def test_budgets() -> None:
    assert offences(MODULES, over_budget) == []


def test_files_are_short() -> None:
    def too_long(path: Path) -> Iterator[str]:
        lines = len(path.read_text("utf-8").splitlines())
        if lines > MAX_LINES:
            yield f"has {lines} lines, at most {MAX_LINES}"

    paths = [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))]
    assert [f"{name_of(path)}: {each}" for path in paths for each in too_long(path)] == []


def test_nothing_is_done_at_import() -> None:
    assert offences(MODULES, work_at_import) == []


def test_imports_obey_the_layers() -> None:
    nowhere = {unit_of(path) for path in MODULES} - MAY_IMPORT.keys() - ON_TOP
    assert nowhere == set(), "say in the table what they may import"
    found = [
        f"{name_of(path)}: {each}" for path in MODULES for each in forbidden_imports(tree_of(path), path)
    ]
    assert found == []


COMPILERS = ("torch.compile", "torch.jit", "torch._dynamo", "torch._inductor", "triton", "numba")


def compiled(tree: ast.Module) -> Iterator[str]:
    """What would compile a model, or a part of one."""
    for node in ast.walk(tree):
        names = [ast.unparse(node)] if isinstance(node, ast.Attribute) else []
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = list(imports_of(node, "headway"))
        yield from (name for name in names if f"{name}.".startswith(tuple(f"{each}." for each in COMPILERS)))


def test_nothing_is_compiled_unasked() -> None:
    """As docs/reliability.md promises; so no run depends on what a compiler makes of it."""
    where_asked = PACKAGE / "training" / "kernel.py"
    assert offences([path for path in MODULES if path != where_asked], compiled) == []
    assert set(compiled(tree_of(where_asked))) == {"torch.compile"}
    for offence in ("torch.compile(model)", "@torch.jit.script\ndef f(): ...", "from torch import compile"):
        assert list(compiled(ast.parse(offence))), offence
    assert list(compiled(ast.parse("re.compile(text); torch.compiled"))) == []


def test_the_checks_see_offenders() -> None:
    many = ", ".join(f"p{i}" for i in range(8))
    body = "\n".join(f"    x = {i}" for i in range(51))
    fields = "\n".join(f"    f{i}: int" for i in range(21))
    long = f"def f(self, {many}):\n{body}\n@dataclass(frozen=True)\nclass C:\n{fields}\n"
    assert len(list(over_budget(ast.parse(long)))) == 3

    fine = (
        "'''Doc.'''\nimport os\nX = re.compile('x')\nY: int = Config(a=1)\n'''What Y is.'''\nclass Z: ...\n"
    )
    assert list(work_at_import(ast.parse(fine))) == []
    for offence in ("print(1)", "X = open('f')", "for x in y: pass", "if a: import b", "X = load(1)"):
        assert len(list(work_at_import(ast.parse(offence)))) == 1, offence

    model = PACKAGE / "model" / "stack.py"
    for offence in (
        "def f():\n    import headway.text.tokenizer",
        "from headway import data",
        "from ..training import loop",
        "import importlib\nimportlib.import_module('headway.serving')",
        "from headway.batching import x",
    ):
        assert len(list(forbidden_imports(ast.parse(offence), model))) == 1, offence
    fine = "from . import mask\nfrom .mask import x\nfrom ..batch import Tokens\nimport headway.errors, torch"
    assert list(forbidden_imports(ast.parse(fine), model)) == []
    recipe = PACKAGE / "recipe.py"
    assert not list(
        forbidden_imports(ast.parse("from headway.decoding.settings import SearchConfig"), recipe)
    )
    assert list(forbidden_imports(ast.parse("from headway.decoding.beam import search"), recipe))


def without_torch() -> list[str]:
    """Statements that must work where torch cannot be imported, the last one of which ends the program."""
    text = [p for p in MODULES if unit_of(p) in ("text", "errors", "config") and p.stem != "__init__"]
    found = [f"import {'.'.join(path.relative_to(ROOT / 'src').with_suffix('').parts)}" for path in text]
    if (PACKAGE / "__main__.py").exists():
        found.append("runpy.run_module('headway', run_name='__main__', alter_sys=True)")
    return found


def test_torch_is_not_needed_for_text_and_help() -> None:
    before = ["import runpy, sys", "sys.modules['torch'] = None", "sys.argv = ['headway', '--help']"]
    program = "\n".join([*before, *without_torch()])
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr


ENTRY = re.compile(r"[\w.]+(?:/|\.py)")


def listed(readme: str) -> dict[str, set[str]] | None:
    """The README's tree: each folder and top-level module of src/headway, with the modules named beside it.

    The tree is a fenced block with a line `src/headway/`; under it each line starts with a name, or several:
    `model/  layer.py, stack.py  what it is` or `errors.py · batch.py  what they are`.
    """
    block = re.search(r"```\w*\n(?:(?!```).*\n)*?src/headway/.*\n((?:(?:[ │├└].*)?\n)*)", readme)
    if block is None:
        return None
    found: dict[str, set[str]] = {}
    for line in block[1].splitlines():
        names = []
        for word in re.split(r"[\s,·│├└─]+", line.strip(" │├└─")):
            if not ENTRY.fullmatch(word):
                break
            names.append(word)
        folders = [name for name in names if name.endswith("/")]
        if folders:
            found[folders[0]] = {name for name in names if name.endswith(".py")}
        else:
            found |= {name: set() for name in names}
    return found


def test_the_readme_shows_the_tree_as_it_is() -> None:
    readme = ROOT / "README.md"
    entries = listed(readme.read_text("utf-8")) if readme.exists() else None
    if entries is None:
        pytest.skip("README.md shows no tree of src/headway/ yet")
    inside = [path for path in PACKAGE.iterdir() if not path.name.startswith("_")]
    folders = {f"{path.name}/" for path in inside if any(path.glob("[!_]*.*"))}
    modules = {path.name for path in MODULES if path.parent == PACKAGE and not path.name.startswith("__")}
    assert set(entries) == folders | modules
    for folder, named in entries.items():
        held = {path.name for path in (PACKAGE / folder).glob("*.py") if path.name != "__init__.py"}
        assert not named or named == held, f"README.md lists other modules in {folder} than there are"


def test_a_tree_is_read_as_written() -> None:
    tree = "src/headway/   the package\n  errors.py · batch.py  what\n  model/  a.py b.py\n"
    readme = f"# X\n```sh\nmake\n```\n```\n{tree}```\n"
    assert listed(readme) == {"errors.py": set(), "batch.py": set(), "model/": {"a.py", "b.py"}}
    assert listed("```\nsrc/headway/\n├── cli.py    the verbs\n└── text/     no torch.py here\n```\n") == {
        "cli.py": set(),
        "text/": set(),
    }
    assert listed("no tree") is None


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_recipes_load(path: Path) -> None:
    # The general ones name no data: it comes from the command line.
    importlib.import_module("headway.recipe").read_recipe(path, changes={"data": {"train": ["text.txt"]}})
