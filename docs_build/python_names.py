"""The public names of the package as its source tells them: signatures, fields, docstrings."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from docs_build.tables import flowing, table

WIDTH = 96


def described(module: str, name: str, shown: str, level: str) -> str:
    """The section of one function or class, headed `shown`."""
    node = definition(module, name)
    parts = [f"{level} {shown}"]
    if isinstance(node, ast.FunctionDef):
        parts += [signature(shown, node), flowing(ast.get_docstring(node))]
    else:
        parts += of_class(node)
    return "\n\n".join(part for part in parts if part)


def definition(module: str, name: str) -> ast.FunctionDef | ast.ClassDef:
    """Where a module's source defines a name."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, module
    for node in ast.parse(Path(spec.origin).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
    raise AssertionError(f"{module} defines no {name}")


def of_class(node: ast.ClassDef) -> Iterator[str]:
    """Docstring, fields and public methods."""
    bases = [ast.unparse(base) for base in node.bases]
    is_error = any(base.endswith(("Error", "Exception")) for base in bases)
    yield (f"Raised; its base is `{bases[0]}`. " if is_error else "") + flowing(ast.get_docstring(node))
    if not is_error:
        yield table(("field", "type", "is"), fields(node))
        for member in node.body:
            if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                yield f"**`{member.name}`**\n\n{signature(member.name, member)}"
                yield flowing(ast.get_docstring(member))


def fields(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of each field."""
    for member, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(member, ast.AnnAssign):
            told = after.value if isinstance(after, ast.Expr) else None
            text = str(told.value) if isinstance(told, ast.Constant) else ""
            default = f" = {ast.unparse(member.value)}" if member.value is not None else ""
            hint = f"`{ast.unparse(member.annotation)}{default}`"
            yield f"`{ast.unparse(member.target)}`", hint, flowing(text).replace("\n\n", " ")


def signature(shown: str, node: ast.FunctionDef) -> str:
    """A function as it is called, on one line or with a line for each parameter; a property as it is read."""
    decorators = {ast.unparse(each) for each in node.decorator_list}
    returned = node.returns.value if isinstance(node.returns, ast.Constant) else node.returns
    told = ast.unparse(returned) if isinstance(returned, ast.AST) else returned
    returns = "" if node.returns is None else f" -> {told}"
    if decorators & {"property", "cached_property"}:
        return f"```py\n{shown}{returns}\n```"
    parameters = parameters_of(node.args)
    whole = f"{shown}({', '.join(parameters)}){returns}"
    if len(whole) > WIDTH:
        whole = "\n".join([f"{shown}(", *(f"    {each}," for each in parameters), f"){returns}"])
    return f"```py\n{whole}\n```"


def parameters_of(arguments: ast.arguments) -> list[str]:
    """Each parameter with its type and default; `self` is left out."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    found = [one(each, default) for each, default in zip(positional, defaults, strict=True)]
    found = found[1:] if found[:1] == ["self"] else found
    if arguments.vararg is not None:
        found.append(f"*{one(arguments.vararg, None)}")
    elif arguments.kwonlyargs:
        found.append("*")
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return found + [one(each, default) for each, default in named]


def one(argument: ast.arg, default: ast.expr | None) -> str:
    hint = "" if argument.annotation is None else f": {ast.unparse(argument.annotation)}"
    equals = " = " if hint else "="
    return f"{argument.arg}{hint}{'' if default is None else equals + ast.unparse(default)}"
