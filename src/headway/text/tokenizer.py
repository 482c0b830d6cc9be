"""Text to token ids and back: learned once, saved as `tokenizer.json`, known by a fingerprint."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, SupportsInt

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import decoders, normalizers

from headway.errors import DataError, FolderError, RecipeError, UserError
from headway.text.kinds import BLANK, Kind, kind_of, trainer, untrained
from headway.text.normalize import COMPOSING, STEPS, Form, composed, normalizer_steps
from headway.text.sample import sample_lines
from headway.text.special import OURS, SpecialIds

SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
PAD, UNKNOWN, BEGIN, END, MASK = range(5)
"""The ids of the special tokens, the same in every vocabulary that is learned here."""

BLANKS = ("<mask>", "___", "[MASK]")
"""How a text may write a blank to be filled; more underscores are still one blank."""

BYTES = 256
"""Byte-level vocabularies hold every byte, so that nothing is unknown."""


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How one vocabulary is learned."""

    kind: Kind = "bpe"
    """`bpe`: byte-level, words split as GPT-2 does. `wordpiece`, `unigram`, `words`, `characters`.
    `symbols`: given ones, separated by blanks, such as phonemes."""
    vocab_size: int = 8000
    """Tokens at most, the five special ones included; `bpe` needs 261 or more."""
    normalize: Form = "none"
    """Unicode form. `letters`: read as by `nfd`, Korean syllables letter by letter, written as by `nfc`."""
    lowercase: bool = False
    """Whether case is dropped."""
    min_count: int = 1
    """What occurs less often gets no token of its own; `unigram` has no such threshold."""
    sample_lines: int = 2_000_000
    """It is learned from so many lines at most, drawn evenly, and from 100 million characters at most."""

    def __post_init__(self) -> None:
        smallest = len(SPECIAL_TOKENS) + (BYTES if self.kind == "bpe" else 1)
        if self.vocab_size < smallest:
            raise RecipeError(
                f"vocab_size = {self.vocab_size}: the kind {self.kind!r} needs {smallest} or more"
            )
        for name in ("min_count", "sample_lines"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}: must be 1 or more")
        if self.kind == "unigram" and self.min_count > 1:
            raise RecipeError("min_count: unigram has no such threshold; leave it at 1")


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """The vocabularies; without `source` one joint vocabulary is learned on both sides."""

    target: TokenizerConfig = field(default_factory=TokenizerConfig)
    """That of the target, of both sides where there is no `source`, or of a language model."""
    source: TokenizerConfig | None = None
    """That of the source, for encoder-decoders only; None = both sides share one."""


class Tokenizer:
    """A vocabulary: raw text in, ids out, and back to text as a person would write it.

    It was learned here or is foreign: of any kind that the library reads, with special tokens elsewhere. A
    foreign one reads text as the library does: the spelling of a special token is that token.
    """

    def __init__(self, content: str, special: SpecialIds | None = None) -> None:
        """From the content of `tokenizer.json`; `special` are a foreign one's special ids.

        Raises FolderError if it is no tokenizer, or without `special` none that was learned here.
        """
        with refusals("not a tokenizer"):
            if not isinstance(json.loads(content)["model"], dict):  # the library takes worse than JSON
                raise FolderError("it has no model")
            library = tokenizers.Tokenizer.from_str(content)
        held = tuple(library.id_to_token(index) for index in range(len(SPECIAL_TOKENS)))
        is_ours = held == SPECIAL_TOKENS and special in (None, OURS)
        if special is None and not is_ours:
            raise FolderError(
                f"the first tokens are {held}; Headway's tokenizers begin with {SPECIAL_TOKENS}"
            )
        if is_ours:
            # Text in the spelling of a special token is plain text; this setting is not saved in the file.
            library.encode_special_tokens = True
        else:
            library.no_truncation()
            library.no_padding()
        self._content = content
        self._library = library
        self.kind: Kind | Literal["foreign"] = kind_of(library) if is_ours else "foreign"
        self.special = special or OURS

    def __repr__(self) -> str:
        return f"Tokenizer({self.kind}, {self.vocab_size:,} tokens)"

    @cached_property
    def vocab_size(self) -> int:
        """How many tokens there are, special tokens included; ids are 0 … vocab_size − 1."""
        held = self._library.get_vocab(with_added_tokens=True).values()
        return 1 + max([*held, *self.special.all])  # a foreign one may leave ids out

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what decides the ids: the canonical JSON of the tokenizer, and foreign special ids."""
        canonical = json.dumps(json.loads(self._content), sort_keys=True, separators=(",", ":"))
        if self.kind == "foreign":
            canonical += json.dumps(asdict(self.special), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """The ids of the text, without special tokens; what the vocabulary lacks becomes the unknown one."""
        return _encode(self._library, [text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode` for each text, on all cores."""
        return _encode(self._library, texts)

    def encode_blanks(self, text: str, blanks: Sequence[str] = BLANKS) -> list[int]:
        """The ids of a text with blanks to fill: each blank becomes the mask, the rest as `encode` would.

        A space before a blank belongs to the word that the blank stands for. Raises UserError for a blank if
        the vocabulary has no mask.
        """
        parts = split_at_blanks(text, blanks)
        if len(parts) == 1:
            return self.encode(text)
        mask = self.special.mask
        if mask is None:
            raise UserError("the model's vocabulary has no token for a blank, so that it fills none")
        if self.kind != "characters":
            parts = [part.removesuffix(" ") for part in parts[:-1]] + parts[-1:]
        ids = self.encode(parts[0])
        for part in _encode(self._continuing, parts[1:]):
            ids += [mask, *part]
        return ids

    def unknown_in(self, text: str) -> list[str]:
        """The characters, or else the words, of which some part becomes the unknown token; each once."""
        parts = list(text) if self.kind == "characters" else text.split()
        return list(dict.fromkeys(part for part in parts if self.special.unknown in self.encode(part)))

    def decode(self, ids: Iterable[SupportsInt]) -> str:
        """The text of the ids; special tokens are left out."""
        listed = [int(index) for index in ids]
        if self.kind == "foreign":  # not every library's file says which tokens are special
            listed = [index for index in listed if index not in self._special]
        with refusals("the tokenizer cannot write a text"):
            text = self._library.decode(listed, skip_special_tokens=True)
        return composed(text) if self.composes else text

    def normalized(self, text: str) -> str:
        """The text as decoding gives it back if nothing of it is unknown; of a foreign one, as it is."""
        if self.kind == "foreign":
            return text
        text = self._form.normalize_str(text)
        text = composed(text) if self.composes else text
        if self.kind == "symbols":
            return " ".join(symbol for symbol, _ in self._library.pre_tokenizer.pre_tokenize_str(text))
        # What marks a blank inside those vocabularies is one when it stands in a text.
        return text.replace(BLANK, " ") if self.kind in ("words", "wordpiece", "unigram") else text

    def pieces(self, ids: Iterable[SupportsInt]) -> list[str]:
        """Each token for display: blanks as ▁, line ends as ↵, bytes that are no whole character as �."""
        return [self._piece(int(index)).replace(" ", BLANK).replace("\n", "↵") for index in ids]

    def word_starts(self, ids: Iterable[SupportsInt]) -> npt.NDArray[np.bool_]:
        """True [n] where a token begins a new word: at a blank, or where letters, digits and signs meet."""
        index = np.fromiter(map(int, ids), dtype=np.int64)
        starts = np.ones(len(index), dtype=np.bool_)
        if self.kind not in ("words", "symbols") and len(index):
            begins, ends = self._character_classes
            before, after = ends[index[:-1]], begins[index[1:]]
            starts[1:] = (after == _BLANK) | (after != before) & (before != _OPENS_WORD)
        return starts

    def to_json(self) -> str:
        """The content of `tokenizer.json`, to the letter: the library would write it with other digits."""
        return self._content

    @classmethod
    def from_json(cls, text: str, special: SpecialIds | None = None) -> "Tokenizer":
        """The tokenizer of `to_json`; a FolderError if it is none."""
        return cls(text, special)

    def save(self, path: Path) -> None:
        """Writes `tokenizer.json`, whole or not at all."""
        beside = path.with_name(path.name + ".part")
        beside.write_text(self.to_json(), encoding="utf-8")
        beside.replace(path)

    @classmethod
    def load(cls, path: Path, special: SpecialIds | None = None) -> "Tokenizer":
        """The tokenizer in the file; a FolderError that names the file if there is none."""
        try:
            return cls.from_json(path.read_text(encoding="utf-8"), special)
        except (OSError, UnicodeDecodeError, FolderError) as error:
            raise FolderError(f"{path}: {error}") from error

    @property
    def foreign_special(self) -> SpecialIds | None:
        """With which special ids its content makes it again; None if it was learned here."""
        return self.special if self.kind == "foreign" else None

    @cached_property
    def is_byte_level(self) -> bool:
        """Whether its tokens stand for bytes, written as GPT-2 writes them."""
        return bool(_steps(json.loads(self._content).get("decoder"), "ByteLevel"))

    @cached_property
    def composes(self) -> bool:
        """Whether it reads letters one by one and writes them composed (`normalize = "letters"`)."""
        return self.kind != "foreign" and self.forms.issuperset(COMPOSING)

    @cached_property
    def forms(self) -> frozenset[str]:
        """Which steps of `STEPS` it takes before it splits text."""
        listed = json.loads(self._content).get("normalizer")
        return frozenset(name for name in STEPS if _steps(listed, name))

    @cached_property
    def _form(self) -> normalizers.Normalizer:
        """Its Unicode form and lower case, without the other steps before it splits."""
        return normalizers.Sequence([step() for name, step in STEPS.items() if name in self.forms])

    @cached_property
    def _special(self) -> frozenset[int]:
        return self.special.all

    @cached_property
    def _continues(self) -> str:
        """How a piece is marked that continues a word, if it is."""
        model = json.loads(self._content)["model"]
        return str(model["continuing_subword_prefix"]) if model.get("type") == "WordPiece" else ""

    @cached_property
    def _continuing(self) -> tokenizers.Tokenizer:
        """The same, for text that goes on after a blank: nothing is put before its first word."""
        content = json.loads(self._content)
        for step in _steps(content.get("normalizer"), "Prepend"):
            step["prepend"] = ""
        for step in _steps(content.get("pre_tokenizer"), "Metaspace"):
            step["prepend_scheme"] = "never"
        for step in _steps(content.get("pre_tokenizer"), "ByteLevel"):
            step["add_prefix_space"] = False
        library = tokenizers.Tokenizer.from_str(json.dumps(content | {"truncation": None, "padding": None}))
        library.encode_special_tokens = self._library.encode_special_tokens
        return library

    def _piece(self, index: int) -> str:
        token = self._library.id_to_token(index)
        if token is None:
            return SPECIAL_TOKENS[UNKNOWN]
        if index in self._special:
            return token
        if self.is_byte_level:
            return decoders.ByteLevel().decode([token])
        return token.removeprefix(self._continues)

    @cached_property
    def _character_classes(self) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
        """The class of the first and of the last character of each token [V]."""
        pieces = [self._piece(index).replace(BLANK, " ") for index in range(self.vocab_size)]
        begins = np.array([_character_class(piece[:1]) for piece in pieces], dtype=np.int8)
        ends = np.array([_character_class(piece[-1:]) for piece in pieces], dtype=np.int8)
        if self.kind != "characters":
            ends[[piece.endswith(" ") for piece in pieces]] = _OPENS_WORD
        if self.kind == "foreign" and self._continues:
            tokens = map(self._library.id_to_token, range(self.vocab_size))
            # Elsewhere WordPiece leaves blanks out: every piece without the mark stands after one.
            begins[[not (token or "").startswith(self._continues) for token in tokens]] = _BLANK
        special = sorted(self._special)
        begins[special] = ends[special] = _BLANK
        return begins, ends


class Tokenizers(NamedTuple):
    """A model's vocabularies. `source`: None for language models, the same object as `target` if joint."""

    source: Tokenizer | None
    target: Tokenizer


def train_tokenizer(texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    """A tokenizer learned from the texts, or from a bounded sample of their lines where they are many."""
    lines = sample_lines(texts, config.sample_lines)
    if not any(line.strip() for line in lines):
        raise DataError("there is no text to learn a vocabulary from")
    steps = normalizer_steps(config.normalize, config.lowercase)
    library = untrained(config.kind, steps, SPECIAL_TOKENS[UNKNOWN], SPECIAL_TOKENS)
    learner = trainer(config.kind, config.vocab_size, config.min_count, SPECIAL_TOKENS)
    try:
        library.train_from_iterator(lines, learner)
    except Exception as error:  # the library raises nothing narrower
        _refuse_lone_surrogates(lines)
        raise RecipeError(
            f"vocab_size = {config.vocab_size}: no {config.kind} vocabulary could be learned ({error}); "
            "give a larger vocab_size or another kind"
        ) from error
    tokenizer = Tokenizer(library.to_str())
    if tokenizer.vocab_size > config.vocab_size:
        raise RecipeError(
            f"vocab_size = {config.vocab_size} is too small for this text: its single characters alone make "
            f"{tokenizer.vocab_size} tokens; give {tokenizer.vocab_size} or more, or use the kind 'bpe'"
        )
    return tokenizer


def other_than(tokenizer: Tokenizer, config: TokenizerConfig) -> str:
    """Why a tokenizer is none that `config` would have learned, whatever the text; empty if it may be one."""
    if tokenizer.kind == "foreign":
        return "it was not learned by Headway"
    if tokenizer.kind != config.kind:
        return f"it is of kind {tokenizer.kind!r}"
    if tokenizer.vocab_size > config.vocab_size:
        return f"it has {tokenizer.vocab_size} tokens"
    steps = normalizer_steps(config.normalize, config.lowercase)
    fresh = untrained(config.kind, steps, SPECIAL_TOKENS[UNKNOWN], SPECIAL_TOKENS).to_str()
    held, wanted = (json.loads(content)["normalizer"] for content in (tokenizer.to_json(), fresh))
    return "" if held == wanted else "it normalizes text otherwise"


_BLANK, _LETTER, _DIGIT, _SIGN, _OPENS_WORD = range(5)
"""Classes of characters; a space at the end of a token belongs to the word after it."""


def _character_class(character: str) -> int:
    if character.isspace():
        return _BLANK
    if character.isnumeric():
        return _DIGIT
    # Letters and their marks; a part of a character, which decodes to U+FFFD, counts as a letter.
    return _LETTER if unicodedata.category(character or "a")[0] in "LM" or character == "\ufffd" else _SIGN


def split_at_blanks(text: str, blanks: Sequence[str] = BLANKS) -> list[str]:
    """What stands around the blanks to fill."""
    return re.split("|".join(_blank_pattern(blank) for blank in blanks), text)


def _blank_pattern(blank: str) -> str:
    return re.escape(blank) + (f"{re.escape(blank[0])}*" if len(set(blank)) == 1 else "")


def _steps(part: Any, kind: str) -> list[dict[str, Any]]:
    """The parts of this type inside a part of a tokenizer's file, which may be itself, or none."""
    if isinstance(part, list):
        return [step for inner in part for step in _steps(inner, kind)]
    if not isinstance(part, dict):
        return []
    return [part] if part.get("type") == kind else _steps(list(part.values()), kind)


def _encode(library: tokenizers.Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    try:
        with refusals("the tokenizer cannot read a text"):
            encodings = library.encode_batch_fast(list(texts), add_special_tokens=False)
    except FolderError:
        _refuse_lone_surrogates(texts)
        raise
    return [encoding.ids for encoding in encodings]


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """What the library raises becomes a FolderError: all kinds, and what it panics at is no Exception."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        raise FolderError(f"{what}: {error}") from error


def _refuse_lone_surrogates(texts: Iterable[str]) -> None:
    for text in texts:
        for position, character in enumerate(text):
            if "\ud800" <= character <= "\udfff":
                raise DataError(
                    f"character {position + 1} is a lone surrogate (U+{ord(character):04X}), "
                    "which is half of a character and cannot be encoded"
                )
