"""Config: a TOML file and `key=value` overrides become frozen dataclasses, strictly."""

import dataclasses
import json
import math
import re
import stat
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from headway.errors import RecipeError, did_you_mean, shown

T = TypeVar("T")
Table = dict[str, Any]

LARGEST_FILE = 2**22
"""Bytes of a TOML file, which may list many files; what is larger is not read at all."""
DEEP_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){50}""", re.ASCII)
"""Names with so many dots, for which the library takes time that grows with the square of their number."""
LARGEST_INTEGER = 10**100
"""Beyond it a number is not even written into a message."""
DESCRIPTORS = (Path("/dev/fd"), Path("/proc/self/fd"))
"""Where a shell's <(…) lies: the only pipe that surely has somebody who writes into it."""


def read_toml(path: Path) -> Table:
    """The table that a TOML file holds. Raises RecipeError with the file and what is wrong in it."""
    try:
        if not may_be_read(path):
            raise RecipeError(f"{path}: is no file but a device or a named pipe")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) > LARGEST_FILE:
        raise RecipeError(f"{path}: is larger than {LARGEST_FILE:,} bytes, and no recipe is")
    try:
        return _toml(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path}: is not TOML: {error}") from error


def _toml(text: str) -> Table:
    """Raises ValueError or RecursionError."""
    if DEEP_KEY.search(text):
        raise ValueError("a key has more than 50 parts")
    return tomllib.loads(text)


def may_be_read(path: Path) -> bool:
    """Whether reading comes to an end: a file or folder, or the pipe of a shell's <(…), but no device.

    Raises OSError if there is nothing of that name.
    """
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode):
        return path.parent in DESCRIPTORS
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def each_once(pairs: list[tuple[str, Any]]) -> Table:
    """The object that JSON describes. Raises ValueError for a key that stands twice: which is meant?"""
    table = dict(pairs)
    if len(table) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"the key {shown(next(key for key in counts if counts[key] > 1))} stands twice")
    return table


def from_table(kind: type[T], table: Mapping[str, Any], place: str = "", *, finite: bool = True) -> T:
    """The dataclass `kind` that a table describes; `place` stands before each message.

    Integers pass for floats and lists for tuples, nothing else for another type. Raises RecipeError for an
    unknown key, a missing one or a wrong value, for infinity and NaN unless `finite` is false (a measured
    figure may be either), and for what the dataclass itself refuses.
    """
    before = f"{place}: " if place else ""
    try:
        _refuse_unknown_keys(kind, table)
        _refuse_odd_numbers(table, finite)
        # JSON mode is the strict one that takes tables for dataclasses and lists for tuples.
        return TypeAdapter(kind).validate_json(json.dumps(table, default=str), strict=True)
    except ValidationError as error:
        raise RecipeError(before + _problem(kind, error)) from error
    except RecipeError as error:
        raise RecipeError(f"{before}{error}") from error
    except RecursionError as error:
        raise RecipeError(f"{before}is nested too deeply") from error


def apply_overrides(kind: type, table: Mapping[str, Any], overrides: Sequence[str]) -> Table:
    """The table with `group.key=value` overrides put in; later ones win.

    A value is TOML, or else a string. A text field takes it as typed, a list field takes one item, and `none`
    unsets a field that may be None. Raises RecipeError for an override without `=` and for keys that `kind`
    does not have.
    """
    result = dict(table)
    for override in overrides:
        typed = shown(override, 200)
        if any("\ud800" <= sign <= "\udfff" for sign in override):
            raise RecipeError(f"override {typed}: is not UTF-8")
        key, equals, text = override.partition("=")
        *groups, name = key.strip().split(".")
        if not equals:
            raise RecipeError(f"override {typed}: write key=value, as in group.key=1")
        inner, here = kind, result
        for depth, group in enumerate(groups):
            inside = _dataclass_in(_hints_of(inner).get(group))
            if inside is None:
                _refuse_unknown_keys(inner, {group: None}, tuple(groups[:depth]), f"override {typed}: ")
                raise RecipeError(f"override {typed}: {'.'.join(groups[: depth + 1])} has no keys inside")
            inner = inside
            below = here.get(group, {})
            if not isinstance(below, Mapping):
                raise RecipeError(f"override {typed}: {group} = {below!r} is there, where a table is right")
            here[group] = here = dict(below)
        _refuse_unknown_keys(inner, {name: None}, tuple(groups), f"override {typed}: ")
        here[name] = _override_value(text.strip(), _hints_of(inner)[name])
    return result


def table_of(config: Any) -> Table:
    """The table that `from_table` reads back as the same dataclass; fields that are None are left out."""
    table: Table = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value is None:
            assert field.default is None, f"{field.name} = None could not be told from its default"
        else:
            table[field.name] = table_of(value) if dataclasses.is_dataclass(value) else value
    return table


def _hints_of(kind: type) -> dict[str, Any]:
    """The fields of a dataclass with their types."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _dataclass_in(annotation: Any) -> type | None:
    """The dataclass that an annotation is or may be."""
    found = [a for a in _alternatives(annotation) if isinstance(a, type) and dataclasses.is_dataclass(a)]
    return found[0] if found else None


def _refuse_unknown_keys(
    kind: type, table: Mapping[str, Any], path: tuple[str, ...] = (), before: str = ""
) -> None:
    hints = _hints_of(kind)
    for key, value in table.items():
        if key not in hints:
            name = shown(".".join((*path, key)))
            raise RecipeError(f"{before}unknown key {name}: {did_you_mean(key, hints)}")
        inner = _dataclass_in(hints[key])
        if inner is not None and isinstance(value, Mapping):
            _refuse_unknown_keys(inner, value, (*path, key), before)


def _refuse_odd_numbers(value: Any, finite: bool, path: tuple[str, ...] = ()) -> None:
    if isinstance(value, Mapping | list):
        inside = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in inside:
            _refuse_odd_numbers(inner, finite, (*path, str(key)))
    elif finite and isinstance(value, float) and not math.isfinite(value):
        raise RecipeError(f"{'.'.join(path)} = {value}: must be a finite number")
    elif isinstance(value, int) and not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        raise RecipeError(f"{'.'.join(path)}: has more than 100 digits")


def _override_value(text: str, annotation: Any) -> Any:
    alternatives = _alternatives(annotation)
    if text == "none" and NoneType in alternatives:
        return None
    try:
        read = _toml(f"value = {text}")
    except (ValueError, RecursionError):
        read = {"value": text}
    value = read["value"] if len(read) == 1 else text
    if str in alternatives and not isinstance(value, str):
        return text
    takes_list = any(get_origin(each) in (tuple, list) for each in alternatives)
    return [value] if takes_list and not isinstance(value, list) else value


def _problem(kind: type, error: ValidationError) -> str:
    """The first of pydantic's findings, said with the key, its value and what would be right."""
    found = error.errors()[0]
    key, annotation = "", kind
    for part in found["loc"]:
        inner = _dataclass_in(annotation)
        if inner is not None and part in _hints_of(inner):
            key += f".{part}" if key else str(part)
            annotation = _hints_of(inner)[str(part)]
        elif isinstance(part, int) and get_origin(annotation) in (tuple, list):
            key += f"[{part}]"
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) is dict:
            key += f".{part}"
            annotation = get_args(annotation)[1]
        else:
            break  # pydantic's name of a member of a union
    if found["type"] == "missing":
        return f"{key} is missing; {_right(annotation)} is needed"
    if found["type"] == "json_invalid":  # half a character, or nested too deeply
        return str(found["ctx"]["error"])
    if found["type"] in ("value_error", "assertion_error"):
        reason = str(found["ctx"]["error"])
        return f"{key}: {reason}" if key else reason
    value = json.dumps(found["input"], ensure_ascii=False, default=str)
    shown = value if len(value) <= 80 else value[:79] + "…"
    return f"{key or 'the whole'} = {shown}: {_right(annotation)} is right here"


_WORDS = {int: "an integer", float: "a number", str: "a string", bool: "true or false", NoneType: "nothing"}


def _right(annotation: Any) -> str:
    """What an annotation accepts, in words."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    if _dataclass_in(annotation) is not None:
        return "a table"
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(json.dumps(choice) for choice in arguments)
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_right(each) for each in arguments if each is not NoneType)
    if get_origin(annotation) in (tuple, list):
        items = [each for each in arguments if each is not Ellipsis]
        return "a list, each item " + " or ".join(dict.fromkeys(_right(each) for each in items))
    return "a table" if get_origin(annotation) in (dict, Mapping) else str(annotation)
