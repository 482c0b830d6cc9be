"""Examples to ids, in chunks that keep all cores busy and memory bounded."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from headway.data.corpus import Record
from headway.data.token_file import Integers
from headway.text.tokenizer import Tokenizer, Tokenizers

CHUNK_EXAMPLES = 4_096
CHUNK_CHARACTERS = 1_000_000
"""A chunk is encoded when it holds so much; longer documents are encoded in pieces."""
PIECE_CHARACTERS = 200_000
SECONDS_BETWEEN_NEWS = 10.0

T = TypeVar("T")

_Encoded = tuple[list[Integers], list[Integers] | list[None]]
"""Ids of targets, and of sources."""


def encode_stream(
    examples: Iterable[tuple[T, Record]], tokenizers: Tokenizers, progress: Callable[[str], None]
) -> Iterator[tuple[T, Record, Integers, Integers | None]]:
    """Each example with the ids of its target and of its source, if it has one, in order.

    While a chunk is encoded, in another thread and on all cores, the next one is read.
    """
    count, news = 0, time.monotonic() + SECONDS_BETWEEN_NEWS
    with ThreadPoolExecutor(1) as pool:
        ahead: deque[tuple[list[tuple[T, Record]], Future[_Encoded]]] = deque()
        chunks = _chunks(examples)
        while True:
            chunk = next(chunks, None)
            if chunk is not None:
                ahead.append((chunk, pool.submit(_encode_chunk, chunk, tokenizers)))
            if chunk is not None and len(ahead) < 2:
                continue
            if not ahead:
                return
            done, encoded = ahead.popleft()
            for (tag, record), ids, source in zip(done, *encoded.result(), strict=True):
                yield tag, record, ids, source
            count += len(done)
            if time.monotonic() >= news:
                news += SECONDS_BETWEEN_NEWS
                progress(f"encoded {count:,} examples")


def _encode_chunk(chunk: list[tuple[T, Record]], tokenizers: Tokenizers) -> _Encoded:
    targets = encode_texts(tokenizers.target, [record.target for _, record in chunk])
    if tokenizers.source is None:
        return targets, [None] * len(chunk)
    return targets, encode_texts(tokenizers.source, [record.source or "" for _, record in chunk])


def encode_texts(tokenizer: Tokenizer, texts: list[str]) -> list[Integers]:
    """The ids of each text; long ones are cut at line ends and encoded in pieces."""
    short = [text for text in texts if len(text) <= PIECE_CHARACTERS]
    encoded = iter(tokenizer.encode_batch(short))
    return [
        next(encoded) if len(text) <= PIECE_CHARACTERS else _encode_long(tokenizer, text) for text in texts
    ]


def _encode_long(tokenizer: Tokenizer, text: str) -> Integers:
    pieces = list(line_pieces(text, PIECE_CHARACTERS))
    several = CHUNK_CHARACTERS // PIECE_CHARACTERS
    parts = [
        np.asarray(ids, dtype=np.uint32)
        for start in range(0, len(pieces), several)
        for ids in tokenizer.encode_batch(pieces[start : start + several])
    ]
    return np.concatenate(parts)


def line_pieces(text: str, size: int) -> Iterator[str]:
    """The text in pieces that end with a line, of about `size` characters where its lines allow."""
    start = 0
    while start < len(text):
        end = len(text)
        if end - start > size:
            end = text.rfind("\n", start, start + size) + 1 or text.find("\n", start + size) + 1 or end
        yield text[start:end]
        start = end


def _chunks(examples: Iterable[tuple[T, Record]]) -> Iterator[list[tuple[T, Record]]]:
    chunk: list[tuple[T, Record]] = []
    characters = 0
    for example in examples:
        chunk.append(example)
        characters += len(example[1].target) + len(example[1].source or "")
        if len(chunk) >= CHUNK_EXAMPLES or characters >= CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk
