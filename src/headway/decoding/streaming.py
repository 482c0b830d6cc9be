"""Text of a growing list of tokens, shown as soon as it is whole characters."""

import unicodedata
from collections.abc import Sequence

from headway.text.tokenizer import Tokenizer

INCOMPLETE = "\ufffd"
"""What a decoder writes for bytes that are not yet, or never, a character."""


def continuation(tokenizer: Tokenizer, before: Sequence[int], ids: Sequence[int]) -> str:
    """The text that `ids` add after `before`: a word's leading blank shows only in company."""
    known, whole = tokenizer.decode(before), tokenizer.decode([*before, *ids])
    return whole[len(known) :] if whole.startswith(known) else tokenizer.decode(ids)


def whole_characters(text: str) -> str:
    """The text without a last character of which bytes may still be to come."""
    return text.rstrip(INCOMPLETE)


class TextStream:
    """Takes token by token, gives the text that became certain."""

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int]) -> None:
        self.tokenizer = tokenizer
        self.before = list(before)
        self.newest: list[int] = []
        self.waiting: list[int] = []

    def add(self, token: int) -> str:
        """The new text, empty while a character is not whole."""
        if self.tokenizer.composes:
            return self._add_letter(token)
        self.waiting.append(token)
        text = continuation(self.tokenizer, self.before, self.waiting)
        if text.endswith(INCOMPLETE):
            return ""
        # The two newest pieces, of whole characters each, are company enough for the next.
        self.before = self.newest + self.waiting
        self.newest, self.waiting = self.waiting, []
        return text

    def _add_letter(self, token: int) -> str:
        """The text before a token that begins a character of its own; letters may still join the last one."""
        known = continuation(self.tokenizer, self.before, self.waiting)
        whole = continuation(self.tokenizer, self.before, [*self.waiting, token])
        added = whole.removeprefix(known)[:1]
        begins = known and whole.startswith(known) and added not in ("", INCOMPLETE)
        if not begins or known.endswith(INCOMPLETE) or unicodedata.combining(added):
            self.waiting.append(token)
            return ""
        self.before, self.newest, self.waiting = self.newest + self.waiting, self.waiting, [token]
        return known

    def finish(self, *, ended: bool) -> str:
        """What was held back: all of it where the model ended the text, whole characters where it was cut."""
        text = continuation(self.tokenizer, self.before, self.waiting)
        return text if ended else whole_characters(text)
