"""The text of an output while it grows, up to where it is to stop."""

from collections.abc import Sequence

from headway.decoding.streaming import TextStream
from headway.text.tokenizer import Tokenizer


class GrowingText:
    """Takes token by token, gives the text that became certain: never a part of what it is to stop at."""

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int], stops: Sequence[str]) -> None:
        self.stream = TextStream(tokenizer, before)
        self.stops = stops
        self.text = ""
        self.told = 0
        """Characters that were given."""
        self.stopped = False
        """Whether one of `stops` was met; the text ends before it."""

    def add(self, token: int) -> str:
        return self._grow(self.stream.add(token), final=False)

    def finish(self, *, ended: bool) -> str:
        """The rest: all of it where the model ended the text, whole characters where it was cut."""
        return "" if self.stopped else self._grow(self.stream.finish(ended=ended), final=True)

    def _grow(self, piece: str, *, final: bool) -> str:
        self.text += piece
        met = [place for stop in self.stops if (place := self.text.find(stop, self.told)) >= 0]
        if met:
            self.stopped = True
            self.text = self.text[: min(met)]
        certain = len(self.text) if final or met else len(self.text) - self._doubtful()
        fresh = self.text[self.told : certain]
        self.told = max(self.told, certain)
        return fresh

    def _doubtful(self) -> int:
        """Characters at the end that may be the beginning of a stop."""
        longest = 0
        for stop in self.stops:
            for size in range(min(len(stop) - 1, len(self.text)), longest, -1):
                if self.text.endswith(stop[:size]):
                    longest = size
                    break
        return longest


def cut_at(text: str, stops: Sequence[str]) -> str:
    """The text up to the first of `stops`."""
    return text[: min((place for stop in stops if (place := text.find(stop)) >= 0), default=len(text))]
