"""What a search knows of models: the next log-probabilities. Axes: R rows, T positions, V vocabulary."""

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headway.batch import Tokens
from headway.model.architectures import Decoder
from headway.model.cache import Cache


@runtime_checkable
class Steps(Protocol):
    """Rows being decoded: all that a search may ask of them."""

    def step(self, ids: Int[Tensor, "R"]) -> Float[Tensor, "R V"]:
        """Append one token to each row; log-probabilities of the token after it."""

    def reorder(self, rows: Int[Tensor, "R"]) -> None:
        """Make row i continue what row rows[i] was, a row of the same source."""

    def keep(self, rows: Int[Tensor, "Q"]) -> None:
        """As `reorder`, for rows of any source and any number of them."""


def average(log_probs: Sequence[Float[Tensor, "R V"]]) -> Float[Tensor, "R V"]:
    """Logarithm of the mean probability that several models give."""
    if len(log_probs) == 1:
        return log_probs[0]
    return torch.stack(tuple(log_probs)).logsumexp(dim=0) - math.log(len(log_probs))


class CachedSteps:
    """One or several models, each with its cache of the same rows.

    `vocabulary` are the tokens that have a text; a model may have room for more, which are never chosen.
    """

    def __init__(self, models: Sequence[Decoder], caches: Sequence[Cache], vocabulary: int) -> None:
        self.models, self.caches, self.vocabulary = models, caches, vocabulary

    @torch.inference_mode()
    def feed(self, ids: Int[Tensor, "R T"], counts: Int[Tensor, "R"] | None = None) -> Float[Tensor, "R V"]:
        """Append to each row the first counts[i] of its ids, or all; log-probabilities of the token after."""
        logits = [
            model.step(ids, cache, counts) for model, cache in zip(self.models, self.caches, strict=True)
        ]
        return average([each.float().log_softmax(dim=-1) for each in logits])[:, : self.vocabulary]

    def step(self, ids: Int[Tensor, "R"]) -> Float[Tensor, "R V"]:
        return self.feed(ids[:, None])

    @torch.inference_mode()
    def spread(self, copies: int) -> None:
        """Make so many adjacent rows of each."""
        for cache in self.caches:
            cache.spread(copies)

    @torch.inference_mode()
    def reorder(self, rows: Int[Tensor, "R"]) -> None:
        for cache in self.caches:
            cache.reorder(rows)

    @torch.inference_mode()
    def keep(self, rows: Int[Tensor, "Q"]) -> None:
        for cache in self.caches:
            cache.keep(rows)


def pad(
    rows: Sequence[Sequence[int]], padding: int, device: torch.device
) -> tuple[Int[Tensor, "R T"], Int[Tensor, "R"]]:
    """Rows of ids with padding on the right, and how many of each are real."""
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[padding] * (width - len(row))] for row in rows], device=device)
    return ids, torch.tensor([len(row) for row in rows], device=device)


def pad_encoder(rows: Sequence[Sequence[int]], padding: int, device: torch.device) -> Tokens:
    """Rows as one document each, for an encoder: it may not see padding."""
    ids, counts = pad(rows, padding, device)
    if len({len(row) for row in rows}) == 1:
        return Tokens(ids)
    return Tokens(ids, (torch.arange(ids.shape[1], device=device) < counts[:, None]).long())
