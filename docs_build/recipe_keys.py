"""Every key of a recipe as its dataclass tells it: value, range, default, meaning."""

import ast
import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from headway.config import apply_overrides
from headway.errors import RecipeError
from headway.recipe import Recipe, resolve

LEAST = {"data": {"train": ["text.tsv"]}, "stop": {"steps": 1}}
"""The shortest recipe; to each key of it a value is given that may be out of range."""

FAR_OUT = (-(10**6), 10**15)

NO_DEFAULT = {"data.train": "required", "model.vocab_size": "from `text.target`"}


@dataclass(frozen=True)
class Key:
    """One key; texts are Markdown."""

    group: str
    """The table that it stands in, as in `model.attention`; empty at the top level."""
    name: str
    value: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Group:
    """One table of a recipe."""

    name: str
    about: str
    keys: tuple[Key, ...]


def groups(kind: type = Recipe, name: str = "", about: str = "") -> Iterator[Group]:
    """The tables in the order of the dataclasses, the top level first; one that may be absent has no keys."""
    hints, meanings = get_type_hints(kind), field_docstrings(kind)
    own: list[Key] = []
    below: list[Group] = []
    for field in dataclasses.fields(kind):
        path = f"{name}.{field.name}".strip(".")
        hint, meaning = hints[field.name], meanings.get(field.name, "")
        if dataclasses.is_dataclass(hint):
            below += groups(hint, path, meaning)  # type: ignore[arg-type]
        elif any(dataclasses.is_dataclass(each) for each in get_args(hint)):
            below.append(Group(path, meaning, ()))
        else:
            own.append(Key(name, field.name, value_of(path, hint), default_of(path, field.default), meaning))
    paragraphs = (in_markdown(inspect.getdoc(kind) or ""), about)
    yield Group(name, "\n\n".join(part for part in paragraphs if part), tuple(own))
    yield from below


def field_docstrings(kind: type) -> dict[str, str]:
    """What stands below each field of a class, on one line."""
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = in_markdown(text)
    return found


def in_markdown(text: str) -> str:
    """A docstring as recipes speak: what is None in Python is unset there."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    text = re.sub(r"(?<=\. )None = ", "Unset: ", "\n\n".join(paragraphs))
    return re.sub(r"\bNone = ", "unset: ", text)


def value_of(path: str, hint: Any) -> str:
    """What may stand behind a key, in words, with the range that the code refuses to leave."""
    alternatives = [each for each in get_args(hint) or () if each is not NoneType]
    may_be_unset = NoneType in get_args(hint)
    said = words_of(alternatives[0] if may_be_unset else hint)
    limits = range_of(path) if said in ("integer", "number") else ""
    return ", ".join(part for part in (said, limits, "or unset" if may_be_unset else "") if part)


def words_of(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(hint))
    if get_origin(hint) is tuple:
        first, *rest = get_args(hint)
        count = "" if Ellipsis in rest else f"{len(rest) + 1} "
        return f"list of {count}{words_of(first)}" + ("s" if first is int else "")
    return {int: "integer", float: "number", str: "text", bool: "`true` or `false`"}[hint]


@cache
def range_of(path: str) -> str:
    """The range of a number: what the code says when it is left; empty where it says nothing of the kind."""
    for value in FAR_OUT:
        try:
            resolve(apply_overrides(Recipe, LEAST, [f"{path}={value}"]))
        except RecipeError as error:
            if said := re.fullmatch(rf"(?:[\w.]+: )?{re.escape(path)} = [^:]*: must be (.*)", str(error)):
                return re.sub(r" \(.*\)| = \d+$", "", said[1]).replace(str(2**63 - 1), "2^63 - 1")
    return ""


def default_of(path: str, default: Any) -> str:
    """A default as it is written in TOML."""
    if default is dataclasses.MISSING:
        return NO_DEFAULT[path]
    if default is None:
        return "unset"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, int):
        return f"`{default:_}`" if default >= 10_000 else f"`{default}`"
    if isinstance(default, float):
        return "`" + re.sub(r"e-0(\d)", r"e-\1", f"{default:_}") + "`"
    return f"`{json.dumps(list(default) if isinstance(default, tuple) else default)}`"
