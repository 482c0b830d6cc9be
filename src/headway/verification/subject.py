"""A model with the rows on which laws are checked. Axes: T positions, V vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headway.api import Pipeline
from headway.batch import Tokens
from headway.decoding.generator import Generator
from headway.decoding.hypothesis import Hypothesis
from headway.decoding.settings import SearchConfig
from headway.decoding.steps import pad, pad_encoder
from headway.errors import UserError
from headway.interop.proof import EXACT, MASKED_SHARE, Texts
from headway.text.tokenizer import BLANKS, Tokenizer

ROWS, SHORTEST, LONGEST = 16, 8, 48
"""Texts that are computed with, and tokens of each: a shorter one is lengthened, a longer one cut."""

MOST_WRITTEN = 32
"""Tokens of an output."""

ACCEPTED = {torch.float32: EXACT.difference, torch.float64: 1e-12, torch.float16: 1e-2, torch.bfloat16: 6e-2}
"""Rounding errors of a log-probability that are accepted, relative to the spread of the log-probabilities."""


@dataclass(frozen=True)
class Row:
    """One text as a model reads it, without the special tokens around it; a masked model's holds masks."""

    ids: list[int]
    """What the decoder, or the encoder alone, reads."""
    source: list[int] | None = None

    def cut(self, ids: int, source: int) -> "Row":
        """At most so many tokens of each side."""
        return Row(self.ids[:ids], None if self.source is None else self.source[:source])

    @property
    def half(self) -> "Row":
        """Its first half, on both sides."""
        return self.cut((len(self.ids) + 1) // 2, (len(self.source or []) + 1) // 2)


class Subject:
    """One model, and text to compute with."""

    def __init__(self, pipeline: Pipeline, texts: Texts) -> None:
        if len(pipeline.ensemble.models) > 1:
            raise UserError("an ensemble is as right as its models: verify one at a time")
        self.pipeline, self.bundle, self.ensemble = pipeline, pipeline.bundle, pipeline.ensemble
        self.architecture = pipeline.architecture
        self.source, self.target = self.bundle.tokenizers
        self.special = self.target.special
        self.lines = [line for line in dict.fromkeys(texts.lines) if line.strip()]
        if not self.lines:
            raise UserError("there is no line with text to verify on: give other text")

    @cached_property
    def chosen(self) -> list[str]:
        """Some of the lines, spread evenly."""
        return [self.lines[i] for i in evenly(0, len(self.lines) - 1, ROWS)]

    @cached_property
    def rows(self) -> list[Row]:
        """Those lines; of an encoder-decoder as sources, with what it makes of them as target."""
        if self.source is None:
            return [Row(self._filled(ids)) for ids in self.target.encode_batch(self.chosen)]
        sources = self.source.encode_batch(self.prompts)
        written = self.search(self.prompts, SearchConfig(method="greedy"))
        return [Row(self._filled(out.ids), ids) for out, ids in zip(written, sources, strict=True)]

    def _filled(self, ids: list[int]) -> list[int]:
        """As long as rows are, with masks if the model knows them."""
        room = _least(LONGEST, max(1, self.limit - len(self.framed([]))) if self.limit else 0)
        ids = [*ids[:room], *self.others([-1] * (min(SHORTEST, room) - len(ids)))]
        if self.architecture != "encoder" or self.special.mask is None:
            return ids
        masked = [i for i in range(len(ids)) if i % MASKED_SHARE == 2] or [0]
        return [self.special.mask if i in masked else token for i, token in enumerate(ids)]

    @property
    def limit(self) -> int:
        """Positions that the decoder, or the encoder alone, reads as it was trained to; 0 = any."""
        return self.ensemble.context if self.source is None else self.ensemble.target_room

    def framed(self, ids: list[int]) -> list[int]:
        """With the special tokens that the model reads around them."""
        return self.special.whole(ids) if self.architecture == "encoder" else self.special.start(ids)

    @property
    def before(self) -> int:
        """Special tokens before a text."""
        return len(self.special.start([]))

    def log_probs(self, rows: Sequence[Row]) -> list[Float[Tensor, "T V"]]:
        """What the model, in one batch, gives each token after, or an encoder at, each position of each row.

        On the CPU; positions are those of the row with its special tokens.
        """
        device, padding = self.ensemble.device, self.special.pad
        framed = [self.framed(row.ids) for row in rows]
        encoder = self.architecture == "encoder"
        # A decoder's padding stands on the right, where causality hides it.
        inputs = pad_encoder(framed, padding, device) if encoder else Tokens(pad(framed, padding, device)[0])
        sources = [row.source for row in rows if row.source is not None]
        places = [(i, 0, len(ids)) for i, ids in enumerate(framed)]
        return self.read(inputs, self.ensemble.source_tokens(sources) if sources else None, places)

    def read(
        self, inputs: Tokens, source: Tokens | None, stretches: Sequence[tuple[int, int, int]]
    ) -> list[Float[Tensor, "T V"]]:
        """As `log_probs`, of inputs as laid out; a stretch is a row, its first column, and its last + 1."""
        device = self.ensemble.device
        with self.ensemble.evaluating():
            hidden = self.ensemble.hidden(inputs, source)
            found = []
            for row, start, stop in stretches:
                columns = torch.arange(start, stop, device=device)
                found.append(self.ensemble.log_probs(hidden, (torch.full_like(columns, row), columns)).cpu())
        return found

    def alone(self, rows: Sequence[Row]) -> list[Float[Tensor, "T V"]]:
        """As `log_probs`, each row in a batch of its own."""
        return [self.log_probs([row])[0] for row in rows]

    @cached_property
    def spread(self) -> float:
        """From the least to the largest log-probability of all rows, in nats; NaN where one is no number."""
        return float(np.max([float(each.max() - each.min()) for each in self.alone(self.rows)]))

    @property
    def tolerance(self) -> float:
        """The largest difference of log-probabilities, in nats, that rounding accounts for."""
        return ACCEPTED[self.ensemble.models[0].output.weight.dtype] * self.spread

    @cached_property
    def prompts(self) -> list[str]:
        """What outputs are searched for: sources; beginnings of a causal model's text; text with a blank."""
        if self.source is not None:
            most = _least(LONGEST, self.ensemble.source_room)
            return [self.source.decode(ids[:most]) for ids in self.source.encode_batch(self.chosen)]
        most = _least(LONGEST, self.limit // 2)
        decode, encoded = self.target.decode, self.target.encode_batch(self.chosen)
        if self.architecture == "decoder":
            return [text for ids in encoded if (text := decode(ids[: min(most, -(-len(ids) // 3))]))]
        if self.special.mask is None:
            return []
        halves = [(ids[: len(ids) // 2][-most:], ids[len(ids) // 2 + 1 :][:most]) for ids in encoded]
        return [f"{decode(before)} {BLANKS[1]}{decode(after)}" for before, after in halves]

    def search(self, texts: Sequence[str], search: SearchConfig) -> list[Hypothesis]:
        """The best output for each text, of at most 32 tokens."""
        found = Generator(self.ensemble, replace(search, max_length=MOST_WRITTEN)).generate(texts)
        return [hypotheses[0] for hypotheses in found]

    def others(self, ids: Sequence[int]) -> list[int]:
        """Other tokens of the target's vocabulary in the places of these; drawn, but always the same."""
        return _others(self._words, ids)

    def other_sources(self, ids: Sequence[int]) -> list[int]:
        """As `others`, of the source's vocabulary."""
        return _others(self._source_words, ids)

    @cached_property
    def _words(self) -> list[int]:
        return _words(self.target)

    @cached_property
    def _source_words(self) -> list[int]:
        assert self.source is not None, "an encoder-decoder has a source tokenizer"
        return _words(self.source)


def largest(differences: Sequence[Float[Tensor, "..."]]) -> float:
    """The largest size of any of the numbers; NaN is larger than all."""
    return float(np.max([0.0, *(float(each.abs().max()) for each in differences if each.numel())]))


def evenly(first: int, last: int, most: int) -> list[int]:
    """At most so many whole numbers from the first to the last, spread evenly."""
    count = min(most, last - first + 1)
    return [first + round(i * (last - first) / max(1, count - 1)) for i in range(count)]


def _least(most: int, limit: int) -> int:
    """The smaller one; a limit of 0 is none."""
    return min(most, limit) if limit > 0 else most


def _words(tokenizer: Tokenizer) -> list[int]:
    """The tokens that have a text."""
    return sorted(set(range(tokenizer.vocab_size)) - tokenizer.special.all)


def _others(words: Sequence[int], ids: Sequence[int]) -> list[int]:
    drawn = np.random.default_rng(len(ids)).integers(len(words), size=len(ids)).tolist()
    return [
        words[place] if words[place] != token else words[(place + 1) % len(words)]
        for place, token in zip(drawn, ids, strict=True)
    ]
