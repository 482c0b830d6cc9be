"""How likely given text is, token by token. Axes: B rows, T positions, N labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from headway.batch import Tokens
from headway.decoding.batches import token_batches
from headway.decoding.ensemble import Ensemble
from headway.decoding.steps import pad, pad_encoder
from headway.errors import UserError
from headway.text.special import SpecialIds

CHUNK = 1024
"""Labels whose distributions are in memory at once."""


@dataclass(frozen=True)
class Score:
    """The log-probability of one text, or pseudo-log-likelihood of a masked model."""

    ids: list[int]
    """The text's tokens, without special ones."""
    log_probs: list[float]
    """Of each token; of all but masked models, also of the </s> at the end, and not of the first token where
    the model has no <s> to predict it from."""

    @property
    def total(self) -> float:
        return sum(self.log_probs)


class Reading(NamedTuple):
    """One row to be read, and what is to stand where."""

    text: int
    """Which text it belongs to."""
    inputs: list[int]
    source: list[int] | None
    columns: list[int]
    labels: list[int]


class Scorer:
    """Scores with one or several models."""

    def __init__(self, ensemble: Ensemble, batch_tokens: int = 16384) -> None:
        self.ensemble, self.batch_tokens = ensemble, batch_tokens

    def score(self, texts: Sequence[str], sources: Sequence[str] | None = None) -> list[Score]:
        """How likely each text is, in the order given.

        Encoder-decoders: given its source; they alone take `sources`. Causal models: each token given those
        before it. Masked models: each token given all others (Salazar et al. 2020).
        """
        tokenizers, pairs = self.ensemble.tokenizers, self.ensemble.architecture == "encoder-decoder"
        if pairs != (sources is not None):
            needs = "a source for each target" if pairs else "texts alone, without sources"
            raise UserError(f"scoring with this model takes {needs}")
        if sources is not None and len(sources) != len(texts):
            raise UserError(f"{len(sources)} sources for {len(texts)} targets: give one for each")
        encoded = tokenizers.target.encode_batch(texts)
        if sources is None:
            return self.score_ids(encoded)
        assert tokenizers.source is not None, "an encoder-decoder has a source tokenizer"
        return self.score_ids(encoded, tokenizers.source.encode_batch(sources))

    def score_ids(
        self, texts: Sequence[list[int]], sources: Sequence[list[int]] | None = None
    ) -> list[Score]:
        """As `score`, of tokens without special ones."""
        context, special = self.ensemble.context, self.ensemble.tokenizers.target.special
        readings: list[Reading] = []
        for i, ids in enumerate(texts):
            if self.ensemble.architecture == "encoder":
                readings += masked_readings(i, ids, context, special)
            elif sources is None:
                readings += causal_readings(i, ids, context, special)
            else:
                readings.append(whole_reading(i, ids, sources[i], special))
        log_probs = self._read(readings)
        values: list[list[float]] = [[] for _ in texts]
        for reading, each in zip(readings, log_probs, strict=True):
            values[reading.text] += each
        return [Score(ids, each) for ids, each in zip(texts, values, strict=True)]

    def _read(self, readings: Sequence[Reading]) -> list[list[float]]:
        """The log-probabilities of the labels of each row, in the rows' order."""
        results: list[list[float]] = [[] for _ in readings]
        sizes = [len(each.inputs) + len(each.source or []) for each in readings]
        for batch in token_batches(sizes, self.batch_tokens):
            with self.ensemble.evaluating():
                found = iter(self._read_batch([readings[i] for i in batch]))
            for i in batch:
                results[i] = [next(found) for _ in readings[i].labels]
        return results

    def _read_batch(self, readings: Sequence[Reading]) -> list[float]:
        device = self.ensemble.device
        sources = [each.source for each in readings if each.source is not None]
        source = self.ensemble.source_tokens(sources) if sources else None
        padding = self.ensemble.tokenizers.target.special.pad
        rows = [each.inputs for each in readings]
        # A decoder's padding stands on the right, where causality hides it.
        encoder = self.ensemble.architecture == "encoder"
        inputs = pad_encoder(rows, padding, device) if encoder else Tokens(pad(rows, padding, device)[0])
        row = torch.tensor([i for i, each in enumerate(readings) for _ in each.labels], device=device)
        column = torch.tensor([column for each in readings for column in each.columns], device=device)
        labels = torch.tensor([label for each in readings for label in each.labels], device=device)
        with torch.no_grad():
            hidden = self.ensemble.hidden(inputs, source)
            found: list[float] = []
            for start in range(0, len(labels), CHUNK):
                part = slice(start, start + CHUNK)
                log_probs = self.ensemble.log_probs(hidden, (row[part], column[part]))
                found += log_probs.gather(1, labels[part, None])[:, 0].tolist()
        return found


def whole_reading(text: int, ids: list[int], source: list[int] | None, special: SpecialIds) -> Reading:
    """<s> a b c predicts a b c </s>; a b c alone predicts b c </s>."""
    whole = special.whole(ids)
    return Reading(text, whole[:-1], source, list(range(len(whole) - 1)), whole[1:])


def causal_readings(text: int, ids: list[int], context: int, special: SpecialIds) -> list[Reading]:
    """The text as a whole, or where it is beyond the context in windows that overlap by half."""
    whole = whole_reading(text, ids, None, special)
    inputs, labels = whole.inputs, whole.labels
    if not inputs:
        return []
    if not context or len(inputs) <= context:
        return [whole]
    readings = []
    done = 0
    while done < len(labels):
        start = max(0, done - context // 2)
        stop = min(start + context, len(labels))
        columns = list(range(done - start, stop - start))
        readings.append(Reading(text, inputs[start:stop], None, columns, labels[done:stop]))
        done = stop
    return readings


def masked_readings(text: int, ids: list[int], context: int, special: SpecialIds) -> list[Reading]:
    """A row for each token, where it is masked and those around it are seen."""
    mask, before = special.mask, len(special.start([]))
    if mask is None:
        raise UserError("the model's vocabulary has no token for a mask, by which a masked model scores")
    readings = []
    for position, label in enumerate(ids):
        start, stop = window(len(ids), position, context)
        inputs = special.whole([*ids[start:position], mask, *ids[position + 1 : stop]])
        readings.append(Reading(text, inputs, None, [position - start + before], [label]))
    return readings


def window(length: int, position: int, context: int) -> tuple[int, int]:
    """Bounds of the tokens that a masked model sees around a position, beside <s> and </s>."""
    room = max(1, context - 2) if context else length
    start = min(max(0, position - room // 2), max(0, length - room))
    return start, min(length, start + room)
