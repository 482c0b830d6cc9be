"""One text as a model reads it in a teacher-forced pass: nothing is searched for, all is given."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from headway.batch import Tokens
from headway.bundle import Bundle
from headway.errors import UserError
from headway.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Row:
    """The tokens of one side, as ids and as people see them."""

    ids: list[int]
    tokens: list[str]
    words: list[int]
    """The word that each token is part of, counted from 0; a special token is a word of its own."""


@dataclass(frozen=True)
class Reading:
    """What the model is given: `target` is what a language model reads, or a decoder's output so far."""

    target: Row
    source: Row | None
    written: Row | None
    """What a decoder with a source is to predict after each token of `target`: the output up to its end."""
    device: torch.device

    @property
    def inputs(self) -> Tokens:
        return self._tokens(self.target)

    @property
    def source_inputs(self) -> Tokens | None:
        return None if self.source is None else self._tokens(self.source)

    def _tokens(self, row: Row) -> Tokens:
        return Tokens(torch.tensor([row.ids], device=self.device))


def read(bundle: Bundle, source: str | None, text: str) -> Reading:
    """Source and text as in training; blanks of a masked model's text become masks.

    Raises UserError where there is a source and should be none, or the other way round.
    """
    given, target = bundle.tokenizers
    special = target.special
    device = bundle.model.output.weight.device
    if bundle.architecture == "encoder-decoder":
        if source is None or given is None:
            raise UserError("an encoder-decoder reads a source: give one")
        heard = row_of(given, given.special.source(given.encode(source)))
        ids = target.encode(text)
        written = row_of(target, [*ids, special.end])
        return Reading(row_of(target, special.start(ids)), heard, written, device)
    if source is not None:
        raise UserError("only an encoder-decoder reads a source: give the text alone")
    if bundle.architecture == "encoder":
        return Reading(row_of(target, special.whole(target.encode_blanks(text))), None, None, device)
    ids = special.start(target.encode(text))
    if not ids:
        raise UserError("an empty text: this model reads nothing before it, so there is nothing to show")
    return Reading(row_of(target, ids), None, None, device)


def row_of(tokenizer: Tokenizer, ids: Sequence[int]) -> Row:
    """Ids with their texts and words."""
    words = tokenizer.word_starts(ids).cumsum() - 1
    return Row(list(ids), tokenizer.pieces(ids), words.tolist())


def legible(token: str) -> str:
    """A token without the blank that a word begins with, and without signs that no font draws."""
    shown = token.removeprefix("▁") or "▁"
    return "".join(character if character.isprintable() else "�" for character in shown)
