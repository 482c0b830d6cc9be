"""From text files to tokenizers and encoded text: done once, and again only where something has changed."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from headway.config import from_table
from headway.data.blocks import Blocks, Part
from headway.data.corpus import DataConfig, ReadReport, Record, Skips, read_records
from headway.data.encode import encode_stream
from headway.data.fingerprint import (
    encoded_fingerprint,
    fingerprint_of,
    is_known_whole,
    read_json,
    remember_whole,
    text_fingerprint,
    write_json,
)
from headway.data.held_out import Numbers, choose, find, marked, read_numbers, write_numbers
from headway.data.split import group_of
from headway.data.token_file import TokenFile
from headway.errors import DataError, RecipeError
from headway.text.special import SpecialIds
from headway.text.tokenizer import TextConfig, Tokenizer, Tokenizers, train_tokenizer

Progress = Callable[[str], None]

ALSO_HELD_OUT = "the source is also in the validation file"
"""Why an example of the training files is left out of training."""


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

    One process at a time prepares; one that was killed is gone on with from its last whole block of examples.
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
    with _alone(folder, progress):
        corpus = _Corpus(data, pairs, seed, progress, _Work(folder / "encoding", print_of_text))
        tokenizers = tokenizers or saved_tokenizers(folder, text, pairs) or _learn(corpus, text, folder)
        expected = encoded_fingerprint(print_of_text, tokenizers)
        files = _Files(folder / "train.tokens", folder / "valid.tokens")
        opened = [_open(path, expected, tokenizers, progress) for path in files]
        if None in opened:
            opened.clear()  # Windows replaces no file that is still mapped
            _encode(corpus, tokenizers, files, expected)
            opened = [TokenFile(path, verify=False) for path in files]
            remember_whole(files)
    train, valid = opened
    assert train is not None and valid is not None
    return Prepared(tokenizers, train, valid, _report_of(train))


@dataclass(frozen=True)
class _Special:
    """Roles of tokens in vocabularies that were not learned here."""

    target: SpecialIds | None = None
    source: SpecialIds | None = None


class _Files(NamedTuple):
    train: Path
    valid: Path


@dataclass(frozen=True)
class _Work:
    """A folder for what is found out about a text while it is prepared; it is kept if that is broken off."""

    place: Path
    text: str
    """The fingerprint of the text."""

    @cached_property
    def folder(self) -> Path:
        """The folder, made if need be, without what it holds of another text."""
        about = self.place / "text.json"
        if read_json(about) != {"text": self.text}:
            shutil.rmtree(self.place, ignore_errors=True)
            self.place.mkdir()
            write_json(about, {"text": self.text})
        return self.place


@contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """Inside the block no other process prepares text in this folder; it waits, and finds it prepared."""
    place = folder / "prepare.lock"
    lock = FileLock(place)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        progress(f"another process prepares the text in {folder}; waiting for it")
        lock.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        with suppress(OSError):  # where a file that is open cannot be removed, it stays
            place.unlink()  # while it is held: who waits for it sees that it is gone
        lock.release()


class _Corpus:
    """The text, divided into training and validation; what is decided by reading it is decided once."""

    def __init__(self, data: DataConfig, pairs: bool, seed: int, progress: Progress, work: "_Work") -> None:
        self.data, self.pairs, self.seed, self.progress, self.work = data, pairs, seed, progress, work
        self._held: Numbers | None = None

    def train(self, report: ReadReport | None = None) -> Iterator[tuple[bool, Record]]:
        """The examples of the training files, and whether each belongs to validation, by its source."""
        held = self.held_out()
        return marked(read_records(self.data, self.data.train, self.pairs, report), held)

    def valid(self, report: ReadReport | None = None) -> Iterator[Record]:
        """The examples of the validation files."""
        return read_records(self.data, self.data.valid, self.pairs, report)

    def held_out(self) -> Numbers:
        """The numbers of the training files' examples that are validation."""
        kept = self.work.folder / "held-out"
        if self._held is None:
            self._held = read_numbers(kept)
        if self._held is None:
            self._held = self._look_for_held_out()
            write_numbers(kept, self._held)
        return self._held

    def _look_for_held_out(self) -> Numbers:
        def records() -> Iterator[Record]:
            return read_records(self.data, self.data.train, self.pairs)

        if self.data.valid:
            groups = frozenset(group_of(record, self.seed) for record in self.valid())
            return find(records(), groups, self.seed)
        self.progress("choosing what to hold out for validation")
        place = ", ".join(self.data.train)
        return choose(records, self.data.held_out, self.seed, place, self.work.folder / "hashes")


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
    special = held.pop("special", {})
    if held != {"text": asdict(text), "pairs": pairs} or not isinstance(special, dict):
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


def _open(path: Path, expected: str, tokenizers: Tokenizers, progress: Progress) -> TokenFile | None:
    """The encoded text if it is there, whole and up to date."""
    if not path.exists():
        return None
    source = tokenizers.source
    try:
        known = is_known_whole(path)
        file = TokenFile(path, verify=not known)
        if file.fingerprint != expected:
            what = "the text, the way it is read or the tokenizer has changed"
            progress(f"{path}: {what}; encoding the text again")
            return None
        if not known:
            file.check_ids(tokenizers.target.vocab_size, None if source is None else source.vocab_size)
            _report_of(file)
    except DataError as error:
        progress(f"{error}; encoding the text again")
        return None
    remember_whole([path])
    return file


def _report_of(file: TokenFile) -> tuple[str, ...]:
    """What the header of a token file of training tells of the text; nothing in that of validation."""
    lines = file.about.get("report", [])
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise DataError("is damaged (its report is no list of lines)", file.path)
    return tuple(lines)


def _encode(corpus: _Corpus, tokenizers: Tokenizers, files: _Files, fingerprint: str) -> None:
    """Write both token files; the account of all lies in the header of the first."""
    data, reading, valid_reading = corpus.data, ReadReport(), ReadReport()
    train, valid = (Part(name, data, tokenizers) for name in ("train", "validation"))
    corpus.progress("encoding the text")
    blocks = Blocks(corpus.work.folder, fingerprint, (train, valid))

    def routed() -> Iterator[tuple[Part, Record]]:
        for held_out, record in corpus.train(reading):
            if held_out and data.valid:
                reading.skip(ALSO_HELD_OUT, record.file, record.line)
            else:
                yield (valid if held_out else train), record
        if data.valid:
            yield from ((valid, record) for record in corpus.valid(valid_reading))

    if blocks.examples:
        corpus.progress(f"{blocks.examples:,} examples are encoded already")
    # They are read again all the same: what was left out while reading is counted anew.
    left = islice(routed(), blocks.examples, None)
    blocks.write(encode_stream(left, tokenizers, corpus.progress))
    reading.skipped |= train.tally.skipped
    own_reading = valid_reading if data.valid else reading
    for reason, skips in valid.tally.skipped.items():
        own_reading.skipped.setdefault(reason, Skips(0, skips.first)).count += skips.count
    report = [*reading.lines(), *train.lines(blocks.different(train))]
    report += [f"validation: {line}" for line in valid_reading.lines()] if data.valid else []
    report += valid.lines(blocks.different(valid))
    for part, paths in ((train, data.train), (valid, data.valid or data.train)):
        if not part.tally.examples:
            raise DataError(f"no example is left for {part.name}: {'; '.join(report)}", ", ".join(paths))
    # The training file last: where it is up to date, so is its account.
    blocks.join(valid, files.valid)
    blocks.join(train, files.train, {"report": report})
    shutil.rmtree(corpus.work.folder)
