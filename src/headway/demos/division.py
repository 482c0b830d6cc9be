"""Which words, chapters or files are for training, which for validation, and which for the last test."""

import hashlib
from collections.abc import Iterable
from typing import Literal

Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")


def divide(names: Iterable[str], *, valid: int, test: int) -> dict[str, Part]:
    """The part of each name, in the order given: chosen by hash, so the same on every machine."""
    given = list(dict.fromkeys(names))
    assert valid + test < len(given), "nothing is left for training"
    ranked = ranked_by_hash(given)
    held_out: dict[str, Part] = dict.fromkeys(ranked[:test], "test")
    held_out |= dict.fromkeys(ranked[test : test + valid], "valid")
    return {name: held_out.get(name, "train") for name in given}


def ranked_by_hash(names: Iterable[str]) -> list[str]:
    """The names in an order that means nothing and is always the same."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
