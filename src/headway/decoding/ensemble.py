"""One or several models of one tokenizer, as decoding needs them. Axes: R rows, N places, V vocabulary."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headway.batch import Tokens
from headway.bundle import Bundle
from headway.decoding.steps import CachedSteps, average, pad, pad_encoder
from headway.errors import UserError
from headway.model.architectures import CausalLM, Decoder, EncoderDecoder, Transformer
from headway.model.cache import Cache
from headway.model.config import Architecture
from headway.text.tokenizer import Tokenizers


@dataclass(frozen=True)
class Ensemble:
    """Models whose probabilities are averaged; most often a single one."""

    models: tuple[Transformer, ...]
    tokenizers: Tokenizers
    longest_source: int = 0
    """Most tokens of a source in training, without special ones; 0 = no limit known."""
    longest_target: int = 0
    """Most tokens of a target, or of a row of a language model, in training; 0 = no limit known."""

    def __post_init__(self) -> None:
        if not self.models:
            raise UserError("an ensemble needs a model")
        shapes = {
            (m.config.architecture, m.config.vocab_size, m.config.source_vocab_size) for m in self.models
        }
        if len(shapes) > 1:
            raise UserError(
                f"an ensemble needs models of one architecture and vocabulary; these are of {len(shapes)}"
            )

    @property
    def architecture(self) -> Architecture:
        return self.models[0].config.architecture

    @property
    def device(self) -> torch.device:
        return self.models[0].embedding.tokens.weight.device

    @property
    def source_room(self) -> int:
        """Tokens of the longest source that the models read as they were trained to; 0 = any."""
        source = self.tokenizers.source
        frame = 1 if source is None else len(source.special.source([]))
        return _least([self.longest_source, *(most - frame for most in self._tables)])

    @property
    def target_room(self) -> int:
        """Positions that the models' learned positions allow; 0 = any."""
        return _least(self._tables)

    @property
    def context(self) -> int:
        """Positions of the longest row that a language model reads as it was trained to; 0 = any."""
        return _least([self.longest_target, *self._tables])

    @property
    def _tables(self) -> list[int]:
        positions = [model.config.positions for model in self.models]
        return [each.max_length for each in positions if each.kind == "learned"]

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Without dropout inside; each model is afterwards in the mode in which it was."""
        training = [model for model in self.models if model.training]  # to ask is cheaper than to tell
        try:
            for model in training:
                model.eval()
            yield
        finally:
            for model in training:
                model.train()

    def begin(
        self, sources: Sequence[Sequence[int]] | None, starts: Sequence[Sequence[int]], copies: int
    ) -> tuple[CachedSteps, Float[Tensor, "R V"]]:
        """Rows that have read <s> and their start, `copies` adjacent ones of each; what is next.

        Log-probabilities are of the next token. Raises UserError for models that compute no numbers.
        """
        special = self.tokenizers.target.special
        source = None if sources is None else self.source_tokens(sources)
        ids, counts = pad([special.start(row) for row in starts], special.pad, self.device)
        uniform = len({len(row) for row in starts}) == 1
        with torch.inference_mode():
            caches = [_cache(model, source, len(starts)) for model in self.models]
            models = [model for model in self.models if isinstance(model, Decoder)]
            steps = CachedSteps(models, caches, self.tokenizers.target.vocab_size)
            first = steps.feed(ids, None if uniform else counts)
            if not math.isfinite(first.sum()):
                raise UserError(
                    "the model computes what is no number: its weights are damaged, or its training diverged"
                )
            if copies > 1:
                steps.spread(copies)
                first = first.repeat_interleave(copies, dim=0)
        return steps, first

    def source_tokens(self, sources: Sequence[Sequence[int]]) -> Tokens:
        """Sources as an encoder-decoder's encoder reads them."""
        assert self.tokenizers.source is not None, "an encoder-decoder has a source tokenizer"
        special = self.tokenizers.source.special
        return pad_encoder([special.source(row) for row in sources], special.pad, self.device)

    def hidden(self, inputs: Tokens, source: Tokens | None = None) -> list[Float[Tensor, "B T D"]]:
        """What each model makes of the inputs in one pass; models may differ in size."""
        with torch.no_grad():
            return [model(inputs, source) for model in self.models]

    def log_probs(
        self, hidden: Sequence[Tensor], places: tuple[Int[Tensor, "N"], Int[Tensor, "N"]]
    ) -> Float[Tensor, "N V"]:
        """What the models give each token at some places (rows, columns) of what they made of the inputs."""
        with torch.no_grad():
            logits = [model.logits(each[places]) for model, each in zip(self.models, hidden, strict=True)]
            log_probs = average([each.float().log_softmax(dim=-1) for each in logits])
            return log_probs[:, : self.tokenizers.target.vocab_size]


def _cache(model: Transformer, source: Tokens | None, rows: int) -> Cache:
    if isinstance(model, EncoderDecoder):
        assert source is not None, "an encoder-decoder reads a source"
        return model.begin(source)
    assert isinstance(model, CausalLM), "a masked language model decodes nothing"
    return model.begin(rows)


def _least(limits: Sequence[int]) -> int:
    return min((each for each in limits if each > 0), default=0)


def ensemble_of(bundles: Sequence[Bundle]) -> Ensemble:
    """The models of some model folders. Raises UserError if their tokenizers are not the same."""
    return join(
        [
            Ensemble((each.model,), each.tokenizers, each.meta.longest_source, each.meta.longest_target)
            for each in bundles
        ]
    )


def join(members: Sequence[Ensemble]) -> Ensemble:
    """All models of the members as one ensemble. Raises UserError if their tokenizers are not the same."""
    if not members:
        raise UserError("an ensemble needs a model")
    first = members[0]
    for number, other in enumerate(members[1:], start=2):
        for side in ("source", "target"):
            ours, theirs = (getattr(each.tokenizers, side) for each in (first, other))
            if (ours and ours.fingerprint) != (theirs and theirs.fingerprint):
                raise UserError(
                    f"model {number} of the ensemble has another {side} tokenizer than the first: "
                    "an ensemble needs models trained with one tokenizer"
                )
    return Ensemble(
        tuple(model for each in members for model in each.models),
        first.tokenizers,
        _least([each.longest_source for each in members]),
        _least([each.longest_target for each in members]),
    )
