"""The verbs of the command line as their functions tell them."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo

from docs_build.tables import escaped, flowing, table
from headway.cli import app

WORDS = {str: "TEXT", int: "NUMBER", float: "NUMBER", Path: "PATH"}


def sections() -> Iterator[str]:
    """A section for each verb, in the order of `headway --help`."""
    for command in app.registered_commands:
        assert command.callback is not None and command.name is not None
        yield from verb(command.name, command.callback)


def verb(name: str, function: Callable[..., Any]) -> Iterator[str]:
    """Heading, usage, what it does, and its arguments and options."""
    hints = get_type_hints(function, include_extras=True)
    usage, rows = [f"headway {name}"], []
    for parameter in inspect.signature(function).parameters.values():
        hint = hints[parameter.name]
        kind, info = get_args(hint) if get_origin(hint) is Annotated else (hint, None)
        needed = parameter.default is inspect.Parameter.empty
        value = info.metavar or word_for(kind, parameter.name)
        if isinstance(info, ArgumentInfo):
            usage.append(value)
            shown = value
        else:
            shown = ", ".join(f"{each} {value}".strip() for each in names_of(info, parameter.name))
        rows.append((f"`{shown}`", default_of(parameter.default, needed, info), told(info.help)))
    has_options = len(rows) > len(usage) - 1
    yield f"## headway {name}"
    yield f"```text\n{' '.join(usage)}{' [OPTIONS]' if has_options else ''}\n```"
    yield flowing(inspect.getdoc(function))
    yield table(("argument or option", "default", "is"), rows)


def names_of(option: Any, parameter: str) -> list[str]:
    """How an option is typed; the library keeps the first name apart from the others."""
    named = [each for each in (option.default, *(option.param_decls or ())) if isinstance(each, str)]
    return named or [f"--{parameter.replace('_', '-')}"]


def word_for(kind: Any, name: str) -> str:
    """What stands for a value; nothing for a switch."""
    inner = next(iter(get_args(kind)), kind) if NoneType in get_args(kind) else kind
    first = get_args(inner)[0] if get_origin(inner) is list else inner
    if get_origin(first) is Literal:
        return "|".join(get_args(first))
    return "" if first is bool else name.upper() if name in ("text", "model") else WORDS[first]


def default_of(default: Any, needed: bool, info: Any) -> str:
    if needed:
        return "" if isinstance(info, ArgumentInfo) else "required"
    return "" if default in (None, "", False) else f"`{default}`"


def told(text: str | None) -> str:
    return escaped(" ".join((text or "").split()))
