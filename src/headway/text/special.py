"""The ids that have a role instead of a text, and what they frame."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cached_property

from headway.errors import FolderError


@dataclass(frozen=True)
class SpecialIds:
    """Which token has which role; None is a role without a token, and roles may share one.

    The defaults are those of every vocabulary that Headway learns. A target is read as `begin`, ids, `end`, a
    source as `source_begin`, ids, `end`.
    """

    pad: int = 0
    """Is never seen by a model, so that one without such a token gives that of `end`."""
    unknown: int | None = 1
    begin: int | None = 2
    """What a decoder reads before a text; None: the text alone, whose first token it then never predicts."""
    end: int = 3
    mask: int | None = 4
    source_begin: int | None = None

    def __post_init__(self) -> None:
        if any(each is not None and each < 0 for each in astuple(self)):
            raise FolderError(f"special ids are 0 or more, or none; these are {self}")

    @cached_property
    def all(self) -> frozenset[int]:
        """Every id that has a role."""
        return frozenset(each for each in astuple(self) if each is not None)

    @cached_property
    def never_chosen(self) -> list[int]:
        """Tokens without text: a model that would choose one is asked for its next best."""
        return sorted(self.all - {self.end})

    def start(self, ids: Sequence[int]) -> list[int]:
        """What a decoder reads before what comes after the ids."""
        return [*ids] if self.begin is None else [self.begin, *ids]

    def whole(self, ids: Sequence[int]) -> list[int]:
        """A text with what stands before and after it."""
        return [*self.start(ids), self.end]

    def source(self, ids: Sequence[int]) -> list[int]:
        """What an encoder-decoder's encoder reads."""
        return [*ids, self.end] if self.source_begin is None else [self.source_begin, *ids, self.end]


OURS = SpecialIds()
