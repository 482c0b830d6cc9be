"""Changes to a file that keep its form: JSON stays JSON, with another value, key or item somewhere."""

import json
import random
import struct
import tomllib
from collections.abc import Callable
from typing import Any

import tomli_w

# fmt: off
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 255, 2**31, 2**40, 2**63, 2**64, 10**30, 0.5, -0.0, 1e-300, 1e308,
    float("nan"), float("inf"), "", "x", " ", "../x", "/dev/zero", "\x00", "\ud800", "none", "F32", "I64",
    "F4", "Replace", "Regex", "ByteLevel", "WordPiece", "Unigram", "<pad>", "(a+)+$", "x" * 5000,
    [], {}, [[]], [None], {"type": "Sequence"}, {"": {}}, [0] * 500,
)
# fmt: on
"""What may stand in the place of another value."""


def changed(content: bytes, draw: random.Random) -> bytes | None:
    """The content of a file with a few changes to what it says; None if it has no form that is known here."""
    for form in (_json, _tensors, _toml):
        for begin in (0, 1):  # the first byte may choose a file
            try:
                return content[:begin] + form(content[begin:], draw)
            except (ValueError, TypeError, RecursionError, struct.error):
                continue
    return None


def _json(content: bytes, draw: random.Random) -> bytes:
    table = json.loads(content)
    _change(table, draw)
    return json.dumps(table).encode()


def _toml(content: bytes, draw: random.Random) -> bytes:
    table = tomllib.loads(content.decode())
    _change(table, draw)
    return tomli_w.dumps(table).encode("utf-8", "surrogatepass")


def _tensors(content: bytes, draw: random.Random) -> bytes:
    """Of a safetensors file the description."""
    (size,) = struct.unpack("<Q", content[:8])
    header = _json(content[8 : 8 + size], draw)
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


def _change(table: Any, draw: random.Random) -> None:
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        places = list(_places(table))
        if not places:
            return
        inside, key = draw.choice(places)
        other, there = draw.choice(places)
        ways: list[Callable[[], None]] = [
            lambda inside=inside, key=key: inside.__setitem__(key, draw.choice(VALUES)),
            lambda inside=inside, key=key: inside.__setitem__(key, draw.choice(VALUES)),
            lambda inside=inside, key=key: inside.__setitem__(key, _near(inside[key], draw)),
            lambda inside=inside, key=key: inside.__delitem__(key),
            lambda inside=inside, key=key, value=other[there]: inside.__setitem__(
                key, json.loads(json.dumps(value))
            ),
            lambda inside=inside, key=key: _add(inside, inside[key], draw),
        ]
        draw.choice(ways)()


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every list or table inside, with each of its keys."""
    if isinstance(value, dict):
        return [each for key, inner in value.items() for each in ((value, key), *_places(inner))]
    if isinstance(value, list):
        return [each for key, inner in enumerate(value) for each in ((value, key), *_places(inner))]
    return []


def _near(value: Any, draw: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return draw.choice((value + 1, value - 1, -value, value * 2, value * 10**6, float(value)))
    return value * 2 if isinstance(value, str | list) else [value]


def _add(inside: Any, value: Any, draw: random.Random) -> None:
    if isinstance(inside, list):
        inside.append(value)
    else:
        inside[draw.choice(("x", *inside)) + draw.choice(("", "s", "."))] = value
