"""Examples from text files: pairs or documents, and an account of every line that was left out."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Literal, NamedTuple

from headway.config import each_once
from headway.data.input_files import InputFile, Line, input_files, read_lines
from headway.data.layout import Layout, decide_layout
from headway.errors import DataError, RecipeError, did_you_mean, refuse_out_of_range

LARGEST_DOCUMENT = 2**28
"""Characters of a line or document, which lies in memory; a corpus may have any number of them."""
MOST_HELD_OUT = 5_000
"""So many validation examples are enough, however large the corpus."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which text, and how it is read."""

    train: tuple[str, ...]
    """Paths, globs, or `-` for standard input; .gz, .xz and .zst are read as they are."""
    valid: tuple[str, ...] = ()
    """The same for validation; empty = a share of `train` is held out."""
    layout: Layout = "auto"
    """`pairs`: source TAB target. `parallel`: files in turn, source, target, source, … `jsonl`: an object
    a line. `lines`: a document a line. `documents`: blank lines between them. `file`: each file one
    document, kept to the letter. `auto`: by suffix and content."""
    source_field: str = "source"
    """The field of a JSON object that holds the source."""
    target_field: str = "target"
    """The field that holds the target."""
    text_field: str = "text"
    """The field that holds the text, for language models."""
    columns: tuple[int, int] | None = None
    """Which columns of a table are source and target, counted from 1, as in `[1, 3]`; None = there must
    be exactly two."""
    held_out: float = 0.02
    """Share of the examples held out where `valid` is empty, at most 5,000."""
    bad_lines: Literal["stop", "skip"] = "stop"
    """A line that cannot be used ends the reading (`stop`), or is left out, counted and reported (`skip`)."""
    max_characters: int = 100_000
    """A longer line cannot be used."""
    max_source: int = 0
    """Tokens; pairs with a longer source are left out, counted and reported; 0 = no limit."""
    max_target: int = 0
    """The same for targets, and for documents of language models."""
    cache: str = ""
    """Folder for encoded text that runs may share; empty = inside the run folder."""

    def __post_init__(self) -> None:
        rules = (
            ("held_out", 0 < self.held_out < 1, "above 0 and below 1"),
            (
                "max_characters",
                1 <= self.max_characters <= LARGEST_DOCUMENT,
                f"from 1 to {LARGEST_DOCUMENT:,}",
            ),
            ("max_source", self.max_source >= 0, "at least 0 (no limit)"),
            ("max_target", self.max_target >= 0, "at least 0 (no limit)"),
            ("columns", self.columns is None or min(self.columns) >= 1, "counted from 1"),
        )
        refuse_out_of_range("data", self, rules)


class Record(NamedTuple):
    """One example as text, and the place where it begins; language models have no source."""

    source: str | None
    target: str
    file: str
    line: int


@dataclass
class Skips:
    """How many examples were left out for one reason, and where first."""

    count: int
    first: str


@dataclass
class ReadReport:
    """What was read and what was left out: nothing is dropped without an entry here."""

    layout: str = ""
    read: int = 0
    skipped: dict[str, Skips] = field(default_factory=dict)

    def skip(self, reason: str, file: str, line: int) -> None:
        entry = self.skipped.setdefault(reason, Skips(0, f"{file}, line {line}"))
        entry.count += 1

    def lines(self) -> list[str]:
        """The account, for people."""
        layout = [f"layout: {self.layout}"] if self.layout else []
        skips = [
            f"left out {skips.count:,}: {reason} (first: {skips.first})"
            for reason, skips in sorted(self.skipped.items())
        ]
        return [*layout, f"read {self.read:,} examples", *skips]


def read_records(
    config: DataConfig, paths: Sequence[str], pairs: bool, report: ReadReport | None = None
) -> Iterator[Record]:
    """Every example of the files, in order, read as it is asked for.

    `pairs`: source and target, else documents. A line that cannot be used is a DataError, or with
    bad_lines = "skip" an entry in the report. Blank lines hold no example and are only counted.
    """
    report = ReadReport() if report is None else report
    if not paths:
        raise RecipeError("no data is named: give data.train one file or more")
    layout, reason = decide_layout(config.layout, paths, pairs)
    report.layout = f"{layout} ({reason})" if reason else layout
    reader = _Reader(config, report)
    before = report.read
    records = reader.parallel(paths) if layout == "parallel" else reader.files(layout, paths, pairs)
    for record in records:
        report.read += 1
        yield record
    if report.read == before:
        names = ", ".join(file.name for file in input_files(paths)[:3])
        what = ": " + "; ".join(report.lines()[-len(report.skipped) :]) if report.skipped else ""
        raise DataError(f"there is no usable text{what or ', the file is empty'}", names)


class _UnusableError(Exception):
    """A line that is no example: a short reason to count by, and what is wrong with this one."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason + detail)
        self.reason = reason


class _Reader:
    """Reads files in one layout; every line becomes an example, part of one, a skip or an error."""

    def __init__(self, config: DataConfig, report: ReadReport) -> None:
        self.config = config
        self.report = report

    def files(self, layout: Layout, paths: Sequence[str], pairs: bool) -> Iterator[Record]:
        for file in input_files(paths):
            if layout == "documents":
                yield from self._documents(file)
            elif layout == "file":
                yield from self._whole(file)
            else:
                yield from self._line_by_line(file, self._parser(layout, pairs))

    def parallel(self, paths: Sequence[str]) -> Iterator[Record]:
        """Files in turn: source, target, source, …; a glob stands for its files in alphabetical order."""
        if len(paths) % 2:
            raise DataError("parallel files come in twos: source, target, source, target, …", paths[-1])
        for source_path, target_path in zip(paths[::2], paths[1::2], strict=True):
            sources, targets = input_files([source_path]), input_files([target_path])
            if len(sources) != len(targets):
                raise DataError(
                    f"names {len(sources)} files, but its partner {target_path} names {len(targets)}",
                    source_path,
                )
            for source, target in zip(sources, targets, strict=True):
                yield from self._two_files(source, target)

    def _two_files(self, source: InputFile, target: InputFile) -> Iterator[Record]:
        limit = self.config.max_characters
        for left, right in zip_longest(read_lines(source, limit), read_lines(target, limit)):
            if left is None or right is None:
                short, long, line = (source, target, right) if left is None else (target, source, left)
                # Never a skip: where lines are missing, all the others may be paired wrongly.
                raise DataError(
                    f"has {line.number - 1:,} lines, but {long.name} has more; parallel files need the same "
                    "number of lines",
                    short.name,
                    line.number - 1 or None,
                )
            number = left.number
            try:
                yield Record(*_sides(_text(left), _text(right)), source.name, number)
            except _UnusableError as fault:
                place = target if right.fault and not left.fault else source
                self._leave_out(fault, place, number)

    def _line_by_line(
        self, file: InputFile, parse: Callable[[str], tuple[str | None, str]]
    ) -> Iterator[Record]:
        for line in read_lines(file, self.config.max_characters):
            try:
                text = _text(line)
                if not text.strip():
                    self.report.skip("blank line", file.name, line.number)
                    continue
                yield Record(*parse(text), file.name, line.number)
            except _UnusableError as fault:
                self._leave_out(fault, file, line.number)

    def _documents(self, file: InputFile) -> Iterator[Record]:
        """Runs of lines between blank lines, joined by line ends."""
        held = _Document(file)
        first = 1
        for number, text in self._usable(file):
            if text.strip():
                first = number if held.is_empty else first
                held.add(text.removesuffix("\n").removesuffix("\r") + "\n", number)
            elif not held.is_empty:
                yield Record(None, held.take().removesuffix("\n"), file.name, first)
        if not held.is_empty:
            yield Record(None, held.take().removesuffix("\n"), file.name, first)

    def _whole(self, file: InputFile) -> Iterator[Record]:
        held = _Document(file)
        for number, line in self._usable(file):
            held.add(line, number)
        text = held.take()
        if text.strip():
            yield Record(None, text, file.name, 1)
        else:
            self._leave_out(_UnusableError("no text in the file"), file, 1)

    def _usable(self, file: InputFile) -> Iterator[tuple[int, str]]:
        """The lines with their ends; of a document only its bad lines are left out."""
        for line in read_lines(file, self.config.max_characters):
            try:
                _text(line)
                yield line.number, line.text
            except _UnusableError as fault:
                self._leave_out(fault, file, line.number)

    def _parser(self, layout: Layout, pairs: bool) -> Callable[[str], tuple[str | None, str]]:
        if layout == "jsonl":
            return self._object_pair if pairs else self._object_text
        return self._columns if pairs else lambda text: (None, text)

    def _columns(self, text: str) -> tuple[str, str]:
        sides = text.split("\t")
        if len(sides) == 1:
            raise _UnusableError("missing tab", ": a pair is source TAB target")
        if self.config.columns is None:
            if len(sides) > 2:
                raise _UnusableError(
                    "more than two columns",
                    f": {len(sides)}; say which are source and target, for example columns = [1, 2]",
                )
            return _sides(*sides)
        if max(self.config.columns) > len(sides):
            raise _UnusableError(
                "too few columns", f": {len(sides)}, but columns = {list(self.config.columns)}"
            )
        source, target = self.config.columns
        return _sides(sides[source - 1], sides[target - 1])

    def _object_pair(self, text: str) -> tuple[str, str]:
        held = _object(text)
        return _sides(_field(held, self.config.source_field), _field(held, self.config.target_field))

    def _object_text(self, text: str) -> tuple[None, str]:
        value = _field(_object(text), self.config.text_field)
        if not value.strip():
            raise _UnusableError("empty text")
        return None, value

    def _leave_out(self, fault: _UnusableError, file: InputFile, line: int) -> None:
        if self.config.bad_lines == "stop":
            raise DataError(
                f'{fault}; put it right, or leave such lines out with bad_lines = "skip"', file.name, line
            ) from fault
        self.report.skip(fault.reason, file.name, line)


class _Document:
    """Lines of a document, held in about as much memory as they have characters."""

    def __init__(self, file: InputFile) -> None:
        self.file, self._held = file, io.StringIO()

    @property
    def is_empty(self) -> bool:
        return not self._held.tell()

    def add(self, line: str, number: int) -> None:
        """Raises DataError where the document gets too large."""
        self._held.write(line)
        if self._held.tell() > LARGEST_DOCUMENT:
            raise DataError(
                f"a document has more than {LARGEST_DOCUMENT:,} characters; divide it, or read each line as "
                'one with layout = "lines"',
                self.file.name,
                number,
            )

    def take(self) -> str:
        """The whole; what is held is empty then."""
        text = self._held.getvalue()
        self._held = io.StringIO()
        return text


def _text(line: Line) -> str:
    if line.fault:
        reason, _, detail = line.fault.partition(":")
        raise _UnusableError(reason, f":{detail}")
    return line.text.removesuffix("\n").removesuffix("\r")


def _sides(source: str, target: str) -> tuple[str, str]:
    for name, side in (("source", source), ("target", target)):
        if not side.strip():
            raise _UnusableError(f"empty {name}")
    return source, target


def _object(text: str) -> dict[str, object]:
    try:
        held = json.loads(text, object_pairs_hook=each_once)
    except (ValueError, RecursionError) as error:
        raise _UnusableError("no JSON", f": {error}") from error
    if not isinstance(held, dict):
        raise _UnusableError("no JSON object", ': a line is an object, for example {"text": "…"}')
    return held


def _as_written(value: object) -> str:
    if isinstance(value, dict | list):  # which may be nested too deeply to be written
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value)[:40]


def _field(held: dict[str, object], name: str) -> str:
    if name not in held:
        raise _UnusableError(f"no field {name!r}", f": {did_you_mean(name, held)}" if held else "")
    value = held[name]
    if not isinstance(value, str):
        raise _UnusableError(f"field {name!r} is no text", ": " + _as_written(value))
    # JSON may escape half of a character; raw UTF-8 cannot hold one.
    lone = next((sign for sign in value if "\ud800" <= sign <= "\udfff"), None)
    if lone is not None:
        raise _UnusableError(
            "lone surrogate", f": \\u{ord(lone):04x} in field {name!r} is half of a character"
        )
    return value
