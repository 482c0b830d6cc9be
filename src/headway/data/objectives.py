"""What is learned: rows of examples become a batch whose `labels` are to be predicted from `inputs`.

All three lay tokens out on the CPU. A row may hold several examples side by side; they are segments 1, 2, …
of it, on the source side as on the target side. Segments are left out where they would say nothing: on the
decoder side where no row is packed, since causality hides the padding on the right; on the encoder side
where moreover nothing is padded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int64, Integer

from headway.batch import NO_LABEL, Batch, Tokens
from headway.data.framing import Places, frame, place
from headway.data.masking import Masking, TokenKeys, WordStarts
from headway.text.special import SpecialIds


@dataclass(frozen=True, slots=True)
class Example:
    """A text or a pair, or a piece of a long text; ids hold no special tokens.

    `start` and `stop` bound what this piece predicts among the predictions of the whole text
    (as counted by `Objective.tail`); a stop of None is the end.
    """

    index: int
    ids: Integer[np.ndarray, " n"]
    source: Integer[np.ndarray, " m"] | None = None
    start: int = 0
    stop: int | None = None


@runtime_checkable
class Objective(Protocol):
    """Turns rows of examples into a batch: a pure function of its arguments."""

    @property
    def reads_source(self) -> bool:
        """Whether examples are pairs, which are never cut."""

    @property
    def source_frame(self) -> int:
        """How many positions a source takes beyond its ids."""

    @property
    def tail(self) -> int:
        """How many predictions a text of n ids has beyond n."""

    @property
    def frame(self) -> int:
        """How many positions each piece takes in its row beyond one for each of its predictions."""

    def batch(
        self, rows: Sequence[Sequence[Example]], seed: int, epoch: int, progress: float = 0.0
    ) -> Batch: ...


class CausalObjective:
    """Each next token of a text: <s> a b c predicts a b c </s>; if nothing is <s>, a b c predicts b c </s>.

    A piece that starts inside its text is fed the token before it, so that each token of a text is predicted
    exactly once wherever it is cut; <s> and </s> stand only where the text truly begins and ends.
    """

    reads_source = False
    source_frame = 0
    frame = 0

    def __init__(self, special: SpecialIds) -> None:
        self.special = special
        self.tail = 0 if special.begin is None else 1

    def batch(self, rows: Sequence[Sequence[Example]], seed: int, epoch: int, progress: float = 0.0) -> Batch:
        inputs, labels, places = _next_tokens(rows, self.special)
        return Batch(
            _tokens(inputs, places, places.packed, self.special.pad),
            _tensor(places.rows(labels, NO_LABEL)),
        )


class PairsObjective:
    """The target from the source: <s> y predicts y </s>, seeing x </s>."""

    reads_source = True
    tail = 1
    frame = 0

    def __init__(self, source: SpecialIds, target: SpecialIds) -> None:
        assert target.begin is not None, "a target begins with something to predict its first token from"
        self.source, self.target = source, target
        self.source_frame = 1 if source.source_begin is None else 2

    def batch(self, rows: Sequence[Sequence[Example]], seed: int, epoch: int, progress: float = 0.0) -> Batch:
        inputs, labels, places = _next_tokens(rows, self.target)
        sources = [example.source for example in chain.from_iterable(rows) if example.source is not None]
        assert len(sources) == places.pieces, "each target needs its source"
        everywhere = np.ones(len(sources), dtype=np.bool_)
        framed = frame(sources, everywhere, everywhere, (self.source.source_begin, self.source.end))
        seen = place(framed.widths, _counts(rows))
        return Batch(
            _tokens(inputs, places, places.packed, self.target.pad),
            _tensor(places.rows(labels, NO_LABEL)),
            _tokens(framed.ids, seen, seen.packed or seen.padded, self.source.pad),
        )


class MaskedObjective:
    """The tokens of <s> x </s> that masking chose; every piece of a long text is framed like a text."""

    reads_source = False
    source_frame = 0
    tail = 0

    def __init__(
        self,
        special: SpecialIds,
        vocab_size: int,
        *,
        rate: float = 0.15,
        rate_end: float | None = None,
        word_starts: WordStarts | None = None,
    ) -> None:
        self.special = special
        self.frame = len(special.whole([]))
        self.masking = Masking(
            special=special, vocab_size=vocab_size, rate=rate, rate_end=rate_end, word_starts=word_starts
        )

    def batch(self, rows: Sequence[Sequence[Example]], seed: int, epoch: int, progress: float = 0.0) -> Batch:
        examples = list(chain.from_iterable(rows))
        everywhere = np.ones(len(examples), dtype=np.bool_)
        pieces = [e.ids[e.start : e.stop] for e in examples]
        framed = frame(pieces, everywhere, everywhere, (self.special.begin, self.special.end))
        lengths = framed.widths - self.frame
        keys = _token_keys(examples, lengths, seed, epoch)
        masked = self.masking.apply(framed.ids[framed.text], lengths, keys, progress)

        labels = np.full(len(framed.ids), NO_LABEL, dtype=np.int64)
        labels[framed.text] = np.where(masked.chosen, framed.ids[framed.text], NO_LABEL)
        framed.ids[framed.text] = masked.ids
        places = place(framed.widths, _counts(rows))
        return Batch(
            _tokens(framed.ids, places, places.packed or places.padded, self.special.pad),
            _tensor(places.rows(labels, NO_LABEL)),
        )


def _next_tokens(
    rows: Sequence[Sequence[Example]], special: SpecialIds
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"], Places]:
    """Inputs, the token after each, and where both stand."""
    examples = list(chain.from_iterable(rows))
    # Prediction i is of token i, or of the one after it where no <s> could predict the first.
    ahead = 1 if special.begin is None else 0
    stops = [len(e.ids) + 1 if e.stop is None else e.stop + ahead for e in examples]
    starts = [max(e.start + ahead - 1, 0) for e in examples]
    pieces = [e.ids[a:b] for e, a, b in zip(examples, starts, stops, strict=True)]
    begins = np.array([e.start == 0 for e in examples])
    ends = np.array([b > len(e.ids) for e, b in zip(examples, stops, strict=True)])
    framed = frame(pieces, begins, ends, (special.begin, special.end))
    last = np.cumsum(framed.widths)
    has_next, has_previous = np.ones((2, len(framed.ids)), dtype=np.bool_)
    has_next[last - 1] = False
    has_previous[last - framed.widths] = False
    return framed.ids[has_next], framed.ids[has_previous], place(framed.widths - 1, _counts(rows))


def _token_keys(
    examples: Sequence[Example], lengths: Int64[np.ndarray, " p"], seed: int, epoch: int
) -> TokenKeys:
    indices = np.array([e.index for e in examples], dtype=np.int64)
    starts = np.array([e.start for e in examples], dtype=np.int64)
    before = np.cumsum(lengths) - lengths
    positions = np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
    return TokenKeys(seed, epoch, np.repeat(indices, lengths), positions)


def _counts(rows: Sequence[Sequence[Example]]) -> Int64[np.ndarray, " B"]:
    return np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))


def _tokens(ids: Int64[np.ndarray, " n"], places: Places, segmented: bool, pad: int) -> Tokens:
    segments = _tensor(places.rows(places.segments, 0)) if segmented else None
    return Tokens(_tensor(places.rows(ids, pad)), segments)


def _tensor(array: Int64[np.ndarray, "B T"]) -> Int64[torch.Tensor, "B T"]:
    return torch.from_numpy(array)
