"""Shapes and types of what Headway's functions take and give, checked in tests.

To check a call takes far longer than the call of most functions, so that of each function only the first
calls of each test are checked, and some of the further ones.
"""

from collections import Counter
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any

import jaxtyping

FIRST, EACH = 3, 23
"""So many calls of a function in a test, and later one of so many."""

_calls: Counter[Any] = Counter()


def check_shapes() -> None:
    """Check the functions of all modules of Headway that are imported from now on."""
    checked_always = jaxtyping.jaxtyped

    def jaxtyped(*, typechecker: Any) -> Callable[[Any], Any]:
        check = checked_always(typechecker=typechecker)
        return lambda function: _sparingly(function, check(function))

    jaxtyping.jaxtyped = jaxtyped
    # An int passes for a float, as for every type checker of annotations.
    typechecker = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
    jaxtyping.install_import_hook("headway", typechecker)


def begin_test() -> None:
    """Check the first calls again."""
    _calls.clear()


def _sparingly(function: Any, checked: Any) -> Any:
    if not isinstance(function, FunctionType):  # a class, whose fields are checked as it is made
        return checked

    @wraps(function)
    def called(*some: Any, **named: Any) -> Any:
        number = _calls[function] = _calls[function] + 1
        return (checked if number <= FIRST or number % EACH == 0 else function)(*some, **named)

    return called
