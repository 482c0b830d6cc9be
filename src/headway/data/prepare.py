"""From text files to tokenizers and encoded text: done once, and again only where something has changed."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headway.config import from_table
from headway.data.corpus import DataConfig, ReadReport, Record, read_records
from headway.data.encode import encode_stream
from headway.data.fingerprint import (
    encoded_fingerprint,
    fingerprint_of,
    read_json,
    text_fingerprint,
    write_json,
)
from headway.data.split import choose_held_out, example_hash, group_of
from headway.data.token_file import Integers, TokenFile, TokenWriter
from headway.errors import DataError, RecipeError
from headway.text.special import SpecialIds
from headway.text.tokenizer import TextConfig, Tokenizer, Tokenizers, train_tokenizer

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """All that training needs of the text. `report`: lines for people on what was read, kept and left out."""

    tokenizers: Tokenizers
    train: TokenFile
    valid: TokenFile
    report: tuple[str, ...]


def prepare(
    data: DataConfig,
    text: TextConfig,
    *,
    pairs: bool,
    folder: Path,
    seed: int,
    progress: Progress,
    tokenizers: Tokenizers | None = None,
) -> Prepared:
    """Learn the tokenizers, split and encode the text, or reuse what `folder` holds of it.

    The tokenizers are learned on the training part alone and saved in `folder` first of all; they stay for as
    long as the recipe asks for the same, since a model may depend on them. Encoded text is made anew where
    the text, the way it is read or the tokenizers have changed, or where it is damaged; `progress` is told.
    `tokenizers` that are given are used instead of any in the folder. A folder that several runs share
    (`data.cache`) keeps each text in a folder of its own.
    """
    if text.source is not None and not pairs:
        raise RecipeError("text.source: a language model reads no source; leave it out")
    folder.mkdir(parents=True, exist_ok=True)
    print_of_text = text_fingerprint(data, pairs, seed, folder / "inputs.json")
    if data.cache:
        folder = _own_folder(folder, [print_of_text, asdict(text)], tokenizers, text, pairs)
        folder.mkdir(exist_ok=True)
    corpus = _Corpus(data, pairs, seed, progress)
    tokenizers = tokenizers or saved_tokenizers(folder, text, pairs) or _learn(corpus, text, folder)
    expected = encoded_fingerprint(print_of_text, tokenizers)
    files = _Files(folder / "train.tokens", folder / "valid.tokens")
    opened = [_open(path, expected, progress) for path in files]
    if None in opened:
        opened.clear()  # Windows replaces no file that is still mapped
        _encode(corpus, tokenizers, files, expected)
        opened = [TokenFile(path, verify=False) for path in files]
    train, valid = opened
    assert train is not None and valid is not None
    return Prepared(tokenizers, train, valid, tuple(train.about["report"]))


@dataclass(frozen=True)
class _Special:
    """Roles of tokens in vocabularies that were not learned here."""

    target: SpecialIds | None = None
    source: SpecialIds | None = None


class _Files(NamedTuple):
    train: Path
    valid: Path


class _Corpus:
    """The text, divided into training and validation; what is decided by reading it is decided once."""

    def __init__(self, data: DataConfig, pairs: bool, seed: int, progress: Progress) -> None:
        self.data, self.pairs, self.seed, self.progress = data, pairs, seed, progress
        self._held: frozenset[int] | None = None

    def train(self, report: ReadReport | None = None) -> Iterator[tuple[bool, Record]]:
        """The examples of the training files, and whether each belongs to validation, by its source."""
        held = self.held_out()
        for record in read_records(self.data, self.data.train, self.pairs, report):
            yield group_of(record, self.seed) in held, record

    def valid(self, report: ReadReport | None = None) -> Iterator[Record]:
        """The examples of the validation files."""
        return read_records(self.data, self.data.valid, self.pairs, report)

    def held_out(self) -> frozenset[int]:
        """The groups of examples that are validation."""
        if self._held is None:
            if self.data.valid:
                self._held = frozenset(group_of(record, self.seed) for record in self.valid())
            else:
                self.progress("choosing what to hold out for validation")
                records = read_records(self.data, self.data.train, self.pairs)
                place = ", ".join(self.data.train)
                self._held = choose_held_out(records, self.data.held_out, self.seed, place)
        return self._held


def _own_folder(
    shared: Path, asked: list[object], tokenizers: Tokenizers | None, text: TextConfig, pairs: bool
) -> Path:
    """The folder of one text inside a shared one; another for tokenizers that it does not have."""
    plain = shared / fingerprint_of([*asked, None])[:16]
    if tokenizers is None:
        return plain
    given = encoded_fingerprint("", tokenizers)
    saved = saved_tokenizers(plain, text, pairs)
    if saved is not None and encoded_fingerprint("", saved) == given:
        return plain
    return shared / fingerprint_of([*asked, given])[:16]


def saved_tokenizers(folder: Path, text: TextConfig, pairs: bool) -> Tokenizers | None:
    """Those that were saved for the same recipe; a FolderError if they are damaged."""
    held = read_json(folder / "text.json")
    special = held.pop("special", {}) if isinstance(held, dict) else {}
    if held != {"text": asdict(text), "pairs": pairs}:
        return None
    roles = from_table(_Special, special, str(folder / "text.json"))
    target = Tokenizer.load(folder / "tokenizer.json", roles.target)
    if not pairs:
        return Tokenizers(None, target)
    own = folder / "source_tokenizer.json"
    return Tokenizers(Tokenizer.load(own, roles.source) if own.exists() else target, target)


def _learn(corpus: _Corpus, text: TextConfig, folder: Path) -> Tokenizers:
    """Learn the vocabularies on the training part and save them."""
    corpus.held_out()
    corpus.progress("learning the vocabulary")
    target = train_tokenizer(_texts(corpus, sources=corpus.pairs and text.source is None), text.target)
    source = target if corpus.pairs else None
    if text.source is not None:
        source = train_tokenizer(_texts(corpus, sources=True, targets=False), text.source)
    save_tokenizers(folder, Tokenizers(source, target), text, corpus.pairs)
    return Tokenizers(source, target)


def save_tokenizers(folder: Path, tokenizers: Tokenizers, text: TextConfig, pairs: bool) -> None:
    """Write tokenizers where `saved_tokenizers` finds them: all of them or none."""
    source, target = tokenizers
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "text.json").unlink(missing_ok=True)
    target.save(folder / "tokenizer.json")
    own = source is not None and source is not target
    (folder / "source_tokenizer.json").unlink(missing_ok=True)
    if source is not None and own:
        source.save(folder / "source_tokenizer.json")
    special = _Special(target.foreign_special, source.foreign_special if source is not None and own else None)
    roles = {"special": asdict(special)} if special != _Special() else {}
    write_json(folder / "text.json", {"text": asdict(text), "pairs": pairs, **roles})


def _texts(corpus: _Corpus, *, sources: bool, targets: bool = True) -> Iterator[str]:
    """The training part, one text after another."""
    for held_out, record in corpus.train():
        if not held_out:
            if sources and record.source is not None:
                yield record.source
            if targets:
                yield record.target


def _open(path: Path, expected: str, progress: Progress) -> TokenFile | None:
    """The encoded text if it is there, whole and up to date."""
    if not path.exists():
        return None
    try:
        file = TokenFile(path)
    except DataError as error:
        progress(f"{error}; encoding the text again")
        return None
    if file.fingerprint == expected:
        return file
    progress(f"{path}: the text, the way it is read or the tokenizer has changed; encoding the text again")
    return None


@dataclass
class _Part:
    """One token file in the making, and what it holds."""

    name: str
    writer: TokenWriter
    reading: ReadReport
    data: DataConfig
    tokenizers: Tokenizers
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    unknown: list[int] = field(default_factory=lambda: [0, 0])
    longest: list[int] = field(default_factory=lambda: [0, 0])
    hashes: "array[int]" = field(default_factory=lambda: array("Q"))

    def add(self, record: Record, ids: Integers, source: Integers | None) -> None:
        """One more example, unless it is too long or holds no token: then it is counted as left out."""
        sides = [ids] if source is None else [ids, source]
        limits = (("max_target", self.data.max_target), ("max_source", self.data.max_source))
        for side, (name, limit) in zip(sides, limits, strict=False):
            if limit and len(side) > limit:
                return self.reading.skip(f"longer than {name} = {limit} tokens", record.file, record.line)
            if not len(side):
                return self.reading.skip("no token in the vocabulary's sense", record.file, record.line)
        owners = (self.tokenizers.target, self.tokenizers.source)
        for index, (side, owner) in enumerate(zip(sides, owners, strict=False)):
            assert owner is not None, "a source has a tokenizer"
            self.tokens[index] += len(side)
            self.unknown[index] += _count(side, owner.special.unknown)
            self.longest[index] = max(self.longest[index], len(side))
        self.hashes.append(example_hash(record))
        return self.writer.add(ids, source, record.line)

    def lines(self) -> list[str]:
        """What the file holds, for people."""
        sides = [
            f"{tokens:,} {side}tokens (longest {longest:,}, unknown {unknown / max(tokens, 1):.3%})"
            for side, tokens, unknown, longest in zip(
                ("", "source "), self.tokens, self.unknown, self.longest, strict=True
            )
            if tokens
        ]
        different = len(np.unique(np.frombuffer(self.hashes, dtype=np.uint64))) if self.hashes else 0
        again = self.writer.count - different
        return [
            f"{self.name}: {self.writer.count:,} examples, {', '.join(sides)}"
            + (f"; {again:,} of them repeat another" if again else "")
        ]


def _count(ids: Integers, wanted: int | None) -> int:
    if wanted is None:
        return 0
    return ids.count(wanted) if isinstance(ids, list) else int(np.count_nonzero(np.asarray(ids) == wanted))


def _encode(corpus: _Corpus, tokenizers: Tokenizers, files: _Files, fingerprint: str) -> None:
    """Write both token files; the account of all lies in the header of the first."""
    data, reading, valid_reading = corpus.data, ReadReport(), ReadReport()
    size = tokenizers.target.vocab_size
    source_size = None if tokenizers.source is None else tokenizers.source.vocab_size
    corpus.progress("encoding the text")
    with (
        TokenWriter(files.train, size, source_size) as train_writer,
        TokenWriter(files.valid, size, source_size) as valid_writer,
    ):
        train = _Part("train", train_writer, reading, data, tokenizers)
        own_reading = valid_reading if data.valid else reading
        valid = _Part("validation", valid_writer, own_reading, data, tokenizers)

        def routed() -> Iterator[tuple[_Part, Record]]:
            for held_out, record in corpus.train(reading):
                if held_out and data.valid:
                    reading.skip("the source is also in the validation file", record.file, record.line)
                else:
                    yield (valid if held_out else train), record
            if data.valid:
                yield from ((valid, record) for record in corpus.valid(valid_reading))

        for part, record, ids, source in encode_stream(routed(), tokenizers, corpus.progress):
            part.add(record, ids, source)
        report = [*reading.lines(), *train.lines()]
        report += [f"validation: {line}" for line in valid_reading.lines()] if data.valid else []
        report += valid.lines()
        for part, paths in ((train, data.train), (valid, data.valid or data.train)):
            if not part.writer.count:
                raise DataError(f"no example is left for {part.name}: {'; '.join(report)}", ", ".join(paths))
        # The training file last: where it is up to date, so is its account.
        valid_writer.finish(fingerprint)
        train_writer.finish(fingerprint, {"report": report})
