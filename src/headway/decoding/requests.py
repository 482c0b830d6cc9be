"""What is asked of a search for one text."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from headway.decoding.settings import SearchConfig
from headway.errors import UserError


@dataclass(frozen=True)
class Request:
    """What to read, what the output starts with, and how long the rest may be, in tokens."""

    source: list[int] | None
    start: list[int]
    shortest: int
    longest: int
    occurrence: int = 0
    """How many equal ones come before it."""

    @property
    def size(self) -> int:
        """Positions that it may take, on both sides."""
        return len(self.source or []) + len(self.start) + self.longest + 1

    def keys(self, seed: int, count: int) -> list[int]:
        """Keys for the random numbers of so many samples: they know nothing of the other requests."""
        content = repr((seed, self.source, self.start, self.occurrence)).encode()
        digest = hashlib.shake_128(content).digest(8 * count)
        return [int.from_bytes(digest[i : i + 8], "little") for i in range(0, len(digest), 8)]


def pair_request(source: list[int], start: list[int], search: SearchConfig, table: int) -> Request:
    """The output for a source, its length relative to it, within the `table` of positions (0 = any)."""
    shortest = max(search.min_length, math.ceil(search.min_ratio * len(source)))
    relative = int(search.max_ratio * len(source)) + search.max_extra
    longest = min(limit for limit in (relative, search.max_length, table) if limit)
    return Request(source, start, max(0, shortest - len(start)), max(1, longest - len(start)))


def prompt_request(prompt: list[int], search: SearchConfig, context: int) -> Request:
    """The continuation of a prompt within the model's context, 0 = any.

    Raises UserError where the prompt leaves no room, or where nothing says how far to go.
    """
    left = context - len(prompt)
    if context and left < 1:
        raise UserError(
            f"the prompt has {len(prompt)} tokens, and the model continues at most {context - 1}: shorten it"
        )
    limits = [limit for limit in (left if context else 0, search.max_length) if limit]
    if not limits:
        raise UserError("search.max_length: say how many tokens to write, for this model names no context")
    return Request(None, prompt, search.min_length, min(limits))


def numbered(requests: Iterable[Request]) -> list[Request]:
    """The requests, equal ones told apart, so that each has random numbers of its own."""
    before: Counter[str] = Counter()
    result = []
    for request in requests:
        content = repr((request.source, request.start))
        result.append(replace(request, occurrence=before[content]))
        before[content] += 1
    return result
