"""Encoded examples on their way into token files, block by block: who is killed goes on at a border."""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from headway.config import from_table
from headway.data.corpus import DataConfig, Record, Skips
from headway.data.split import example_hash
from headway.data.token_file import Integers, TokenFile, TokenWriter
from headway.errors import UserError
from headway.text.tokenizer import Tokenizers

BLOCK_EXAMPLES = 1 << 19
BLOCK_TOKENS = 1 << 25
"""A block is put on disk when it holds so many examples, or tokens; no more is encoded twice."""
HASHES_AT_A_TIME = 1 << 24
"""How many hashes of examples are in memory when repeated ones are counted (8 bytes each)."""


@dataclass
class Tally:
    """What a part holds, and what of it was left out once it was encoded."""

    examples: int = 0
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    unknown: list[int] = field(default_factory=lambda: [0, 0])
    longest: list[int] = field(default_factory=lambda: [0, 0])
    skipped: dict[str, Skips] = field(default_factory=dict)

    def skip(self, reason: str, record: Record) -> None:
        self.skipped.setdefault(reason, Skips(0, f"{record.file}, line {record.line}")).count += 1


@dataclass(frozen=True)
class Account:
    """What the header of a block tells of all examples up to its end."""

    examples: int
    tallies: list[Tally]
    hashes: int
    """Of this block."""

    def __post_init__(self) -> None:
        numbers = [n for tally in self.tallies for n in (tally.tokens, tally.unknown, tally.longest)]
        kept = sum(tally.examples for tally in self.tallies)
        if any(len(sides) != 2 for sides in numbers) or not 0 <= kept <= self.examples < 2**62:
            raise ValueError("it tells what cannot be")


class Part:
    """The training or the validation examples: a token file in the making."""

    def __init__(self, name: str, data: DataConfig, tokenizers: Tokenizers) -> None:
        self.name, self.data, self.tokenizers = name, data, tokenizers
        self.tally = Tally()
        self.hashes = array("Q")
        self.writer: TokenWriter | None = None

    def new_writer(self, path: Path) -> TokenWriter:
        source = self.tokenizers.source
        return TokenWriter(
            path, self.tokenizers.target.vocab_size, None if source is None else source.vocab_size
        )

    def add(self, record: Record, ids: Integers, source: Integers | None) -> None:
        """One more example, unless it is too long or holds no token: then it is counted as left out."""
        tally, sides = self.tally, (ids,) if source is None else (ids, source)
        for side, (name, limit) in zip(sides, self._limits, strict=False):
            if limit and len(side) > limit:
                return tally.skip(f"longer than {name} = {limit} tokens", record)
            if not len(side):
                return tally.skip("no token in the vocabulary's sense", record)
        for index, side in enumerate(sides):
            tally.tokens[index] += len(side)
            tally.unknown[index] += _count(side, self._unknown[index])
            tally.longest[index] = max(tally.longest[index], len(side))
        tally.examples += 1
        self.hashes.append(example_hash(record))
        assert self.writer is not None, "no block is open"
        return self.writer.add(ids, source, record.line)

    @property
    def _limits(self) -> tuple[tuple[str, int], ...]:
        return ("max_target", self.data.max_target), ("max_source", self.data.max_source)

    @property
    def _unknown(self) -> list[int | None]:
        return [owner.special.unknown for owner in self.tokenizers[::-1] if owner is not None]

    def lines(self, different: int) -> list[str]:
        """What the part holds, for people; `different`: how many examples repeat no other."""
        tally = self.tally
        sides = [
            f"{tokens:,} {side}tokens (longest {longest:,}, unknown {unknown / max(tokens, 1):.3%})"
            for side, tokens, unknown, longest in zip(
                ("", "source "), tally.tokens, tally.unknown, tally.longest, strict=True
            )
            if tokens
        ]
        again = tally.examples - different
        return [
            f"{self.name}: {tally.examples:,} examples, {', '.join(sides)}"
            + (f"; {again:,} of them repeat another" if again else "")
        ]


class Blocks:
    """A folder of whole blocks, each a token file of every part with the account of all up to its end.

    `examples`: of how many examples of the text, in their order, the blocks hold what was kept.
    """

    def __init__(self, folder: Path, fingerprint: str, parts: Sequence[Part]) -> None:
        """Takes up the blocks that are there, whole and of this fingerprint."""
        self.folder, self.fingerprint, self.parts = folder, fingerprint, parts
        self.count, self.examples = 0, 0
        while (account := self._read(self.count)) is not None:
            self.count, self.examples = self.count + 1, account.examples
            for part, tally in zip(parts, account.tallies, strict=True):
                part.tally = tally

    def write(self, encoded: Iterator[tuple[Part, Record, Integers, Integers | None]]) -> None:
        """All further examples of the text."""
        more = True
        while more:
            with ExitStack() as stack:
                for part in self.parts:
                    part.hashes = array("Q")
                    part.writer = stack.enter_context(part.new_writer(self._path(self.count, part)))
                more = self._fill(encoded)
                self._seal()

    def join(self, part: Part, path: Path, about: dict[str, Any] | None = None) -> None:
        """The token file of a part, of all its blocks."""
        with part.new_writer(path) as writer:
            for number in range(self.count):
                writer.extend(TokenFile(self._path(number, part), verify=False))
            writer.finish(self.fingerprint, about)

    def different(self, part: Part) -> int:
        """How many of a part's examples repeat no other: few hashes at a time, those of one range."""
        ranges = -(-part.tally.examples // HASHES_AT_A_TIME)
        return sum(self._different(part, number, ranges) for number in range(ranges))

    def _different(self, part: Part, number: int, ranges: int) -> int:
        found = []
        for block in range(self.count):
            hashes = np.fromfile(self._hashes(block, part), dtype="<u8")
            found.append(hashes if ranges == 1 else hashes[hashes % np.uint64(ranges) == number])
        return len(np.unique(np.concatenate(found)))

    def _fill(self, encoded: Iterator[tuple[Part, Record, Integers, Integers | None]]) -> bool:
        """Examples up to the end of a block; whether there may be more of them."""
        tokens, first = 0, self.examples
        for part, record, ids, source in encoded:
            part.add(record, ids, source)
            tokens += len(ids) + len(source or ())
            self.examples += 1
            if self.examples - first >= BLOCK_EXAMPLES or tokens >= BLOCK_TOKENS:
                return True
        return False

    def _seal(self) -> None:
        about = {"examples": self.examples, "tallies": [asdict(part.tally) for part in self.parts]}
        # The first part last: where it is whole, so is its block.
        for part in reversed(self.parts):
            with self._hashes(self.count, part).open("wb") as file:
                np.asarray(part.hashes, dtype="<u8").tofile(file)
            assert part.writer is not None, "a block is open"
            part.writer.finish(self.fingerprint, about | {"hashes": len(part.hashes)})
        self.count += 1

    def _read(self, number: int) -> Account | None:
        """What is known about a block, if it is whole."""
        account = None
        for part in reversed(self.parts):
            path = self._path(number, part)
            try:
                file = TokenFile(path)
                account = from_table(Account, file.about)
                size = self._hashes(number, part).stat().st_size
            except (UserError, OSError):
                return None
            fits = account.hashes == len(file) and len(account.tallies) == len(self.parts)
            if file.fingerprint != self.fingerprint or size != 8 * account.hashes or not fits:
                return None
        return account

    def _path(self, number: int, part: Part) -> Path:
        return self.folder / f"{number:06}.{part.name}.block"

    def _hashes(self, number: int, part: Part) -> Path:
        return self.folder / f"{number:06}.{part.name}.hashes"


def _count(ids: Integers, wanted: int | None) -> int:
    if wanted is None:
        return 0
    return ids.count(wanted) if isinstance(ids, list) else int(np.count_nonzero(np.asarray(ids) == wanted))
