"""Whether held-out text stands in training too, by hashes of tokens. Axes: k stretches of tokens."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Integer, UInt64

from headway.data.prepare import ALSO_HELD_OUT, Prepared
from headway.data.token_file import TokenFile
from headway.preflight.finding import Finding
from headway.preflight.token_hashes import Sought, TokenHashes

CHECK = "held-out text"

Starts = Int64[np.ndarray, " starts"]
"""Where each example begins, and where the last one ends."""

MOST, MOST_SOUGHT = 1 << 26, 1 << 18
"""Tokens of training, and pairs or passages held out, that are compared at most, from the first on."""

BESIDE = 0xD6E8FEB86659FD93
"""What a source's hash is multiplied by beside its target's; no power of the factor inside a hash."""

AT_ONCE = 1 << 20
"""Tokens in memory at a time, but for a pair that is longer."""

WINDOW = 64
"""Tokens of a passage, by which long texts are compared; shorter texts are compared as a whole."""

SOME, ALL = 0.05, 0.99
"""Shares of what is held out that may be in training, and with which all of it is."""


class Overlap(NamedTuple):
    """How much of what is held out was found in training."""

    share: float
    what: str
    first: str
    """Where, in words; empty if nowhere."""


def check_overlap(prepared: Prepared) -> Finding:
    """No held-out source, and no passage of a held-out text, is in training."""
    training, held_out = prepared.train, prepared.valid
    among = "training" if training.starts[-1] <= MOST else f"the first {MOST:,} tokens of training"
    share, what, first = (
        passages_in(training, held_out, prepared.tokenizers.target.vocab_size)
        if training.source_starts is None
        else sources_in(training, held_out, max(each.vocab_size for each in prepared.tokenizers if each))
    )
    if share > SOME:
        return Finding(
            check=CHECK,
            level="fault" if share >= ALL else "warning",
            message=f"{share:.0%} of the {what} held out are in {among} too{first}",
            remedy="hold out other text (data.valid), or let a part be held out: leave data.valid empty",
        )
    left_out = re.search(rf"left out ([\d,]+): {re.escape(ALSO_HELD_OUT)}", "\n".join(prepared.report))
    count = int(left_out[1].replace(",", "")) if left_out else 0
    if count > SOME * len(held_out):
        return Finding(
            check=CHECK,
            level="warning",
            message=f"data.train held {count:,} examples of data.valid, which were left out of training",
            remedy="held-out figures are clean; if data.valid was to be other text, put it right",
        )
    parts = "no" if not share else f"{share:.2%} of the"
    return Finding(check=CHECK, level="ok", message=f"{parts} {what} held out are in {among}")


def sources_in(training: TokenFile, held_out: TokenFile, vocabulary: int) -> Overlap:
    """Of pairs: those of which the source, and those of which both sides are in training."""
    longest = max(each for file in (training, held_out) for each in (file.longest, file.longest_source))
    hashes = TokenHashes(vocabulary, AT_ONCE + longest)
    keys = list(_of_pairs(held_out, hashes, min(len(held_out), MOST_SOUGHT)))
    sources, pairs = (np.concatenate(each) for each in zip(*keys, strict=True))
    sought, whole = Sought(sources), Sought(pairs)
    for some_sources, some_pairs in _of_pairs(training, hashes, _within(training.starts, MOST)):
        sought.look(some_sources)
        whole.look(some_pairs)
    first = ""
    if sought.first is not None:
        one, other = sought.first
        place = f"line {held_out.lines[one]:,}, which is line {training.lines[other]:,} of training"
        first = f", {whole.found.mean():.0%} with the same target, first {place}"
    return Overlap(float(sought.found.mean()), "sources", first)


def passages_in(training: TokenFile, held_out: TokenFile, vocabulary: int) -> Overlap:
    """Of texts: passages of 64 tokens, and shorter texts as they are."""
    hashes = TokenHashes(vocabulary, AT_ONCE + WINDOW)
    starts, stops = _passages(held_out.starts)
    sought = Sought(np.concatenate(list(_of_stretches(held_out, hashes, starts, stops))))
    short = _short(training.starts)
    for some in _of_stretches(training, hashes, *short):
        sought.look(some)
    for at in range(0, min(int(training.starts[-1]), MOST), AT_ONCE):
        ids = training.columns["ids"][at : at + AT_ONCE + WINDOW - 1]
        begins = np.arange(max(0, len(ids) - WINDOW + 1))
        sought.look(hashes.of(ids, begins, begins + WINDOW))
    first = ""
    if sought.first is not None:
        example = int(np.searchsorted(held_out.starts, starts[sought.first[0]], side="right")) - 1
        first = f", first that of line {held_out.lines[example]:,}"
    return Overlap(float(sought.found.mean()), "passages", first)


def _of_pairs(
    file: TokenFile, hashes: TokenHashes, count: int
) -> Iterator[tuple[UInt64[np.ndarray, " k"], UInt64[np.ndarray, " k"]]]:
    """Of so many examples, from the first on, some at a time: hashes of the sources, and of both sides."""
    starts, sources = file.starts, file.source_starts
    assert sources is not None, "pairs have sources"
    first = 0
    while first < count:
        ends = (np.searchsorted(each, each[first] + AT_ONCE, side="right") - 1 for each in (starts, sources))
        last = max(first + 1, min(count, *map(int, ends)))
        of_source = _of_examples(file.columns["source_ids"], sources[first : last + 1], hashes)
        of_target = _of_examples(file.columns["ids"], starts[first : last + 1], hashes)
        yield of_source, of_source * np.uint64(BESIDE) + of_target
        first = last


def _of_examples(
    ids: Integer[np.ndarray, " n"], starts: Int64[np.ndarray, " starts"], hashes: TokenHashes
) -> UInt64[np.ndarray, " k"]:
    bounds = starts - starts[0]
    return hashes.of(ids[starts[0] : starts[-1]], bounds[:-1], bounds[1:])


def _passages(
    starts: Int64[np.ndarray, " starts"],
) -> tuple[Int64[np.ndarray, " k"], Int64[np.ndarray, " k"]]:
    """Where the passages begin and end: one after another in long texts, and short texts as they are."""
    counts = np.maximum(1, np.diff(starts) // WINDOW)
    number = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    begins = np.repeat(starts[:-1], counts) + WINDOW * number
    ends = np.minimum(begins + WINDOW, np.repeat(starts[1:], counts))
    real = np.flatnonzero(ends > begins)[:MOST_SOUGHT]
    return begins[real], ends[real]


def _short(starts: Int64[np.ndarray, " starts"]) -> tuple[Int64[np.ndarray, " k"], Int64[np.ndarray, " k"]]:
    """Where texts shorter than a passage begin and end."""
    lengths = np.diff(starts)
    some = np.flatnonzero((lengths > 0) & (lengths < WINDOW) & (starts[1:] <= MOST))
    return starts[some], starts[some + 1]


def _of_stretches(
    file: TokenFile, hashes: TokenHashes, starts: Int64[np.ndarray, " k"], stops: Int64[np.ndarray, " k"]
) -> Iterator[UInt64[np.ndarray, " k"]]:
    """The hashes of stretches of at most a passage, which follow each other, some at a time."""
    first = 0
    while first < len(starts):
        last = int(np.searchsorted(starts, starts[first] + AT_ONCE))
        ids = file.columns["ids"][starts[first] : stops[last - 1]]
        yield hashes.of(ids, starts[first:last] - starts[first], stops[first:last] - starts[first])
        first = last


def _within(starts: Int64[np.ndarray, " starts"], tokens: int) -> int:
    """How many examples have so many tokens together at most, but at least one."""
    return max(1, int(np.searchsorted(starts, tokens, side="right")) - 1)
