"""Shapes and types of what Headway's functions take and give, checked in tests.

To check a call takes far longer than the call of most functions, and to make a function's check longer
still. So it is made when it is first wanted, and of the calls of a function in a test the first, the fourth,
the sixteenth and so on are checked.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from typing import Any

import jaxtyping

CHECKED = frozenset(4**power for power in range(16))
"""The calls of a function in a test that are checked, counted from 1."""

_calls: Counter[str] = Counter()


def check_shapes() -> None:
    """Check the functions and dataclasses of all modules of Headway that are imported from now on."""
    checked_always = jaxtyping.jaxtyped

    def jaxtyped(*, typechecker: Any) -> Callable[[Any], Any]:
        check = checked_always(typechecker=typechecker)
        return lambda made: _class_checked(made, check) if isinstance(made, type) else _sparingly(made, check)

    jaxtyping.jaxtyped = jaxtyped
    # An int passes for a float, as for every type checker of annotations.
    typechecker = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
    jaxtyping.install_import_hook("headway", typechecker)


def begin_test() -> None:
    """Count the calls from 1 again."""
    _calls.clear()


def _class_checked(made: type, check: Callable[[Any], Any]) -> type:
    """A class, of which the fields are checked as an object is made, if it is a dataclass."""
    begin = vars(made).get("__init__")
    if is_dataclass(made) and begin is not None and not hasattr(begin, "__wrapped__"):
        made.__init__ = _sparingly(begin, check)  # type: ignore[misc]
    return made


def _sparingly(function: Any, check: Callable[[Any], Any]) -> Any:
    name = f"{function.__module__}.{function.__qualname__}"
    checked: Any = None

    @wraps(function)
    def called(*some: Any, **named: Any) -> Any:
        nonlocal checked
        number = _calls[name] = _calls[name] + 1
        if number not in CHECKED:
            return function(*some, **named)
        checked = checked or check(function)
        return checked(*some, **named)

    return called
