"""Heads told in few numbers, and their weights made small. Axes: H heads, T queries, S keys."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

THUMBNAIL = 24
"""Rows and columns of a thumbnail at most."""


@dataclass(frozen=True)
class HeadSummary:
    """What a head does, on average over its queries.

    The diagonal leads from the first key to the last as queries go from first to last; where a stack looks at
    itself it is each token's own place.
    """

    entropy: float
    """Bits; 0 = each query sees one key, log₂ S = all alike."""
    distance: float
    """Keys between what is looked at and the diagonal."""
    previous: float
    """Share of the weight on the key before the diagonal; queries at the first key are not counted."""
    diagonal: float
    """Share of the weight on the diagonal."""


def summarise(weights: Float[Tensor, "H T S"]) -> list[HeadSummary]:
    """A summary of each head."""
    heads, queries, keys = weights.shape
    place = torch.arange(queries) if queries == keys else torch.linspace(0, keys - 1, queries)
    nearest = place.round().long()
    entropy = torch.special.entr(weights).sum(-1).mean(-1) / math.log(2)
    distance = (weights * (torch.arange(keys) - place[:, None]).abs()).sum(-1).mean(-1)
    diagonal = weights[:, torch.arange(queries), nearest].mean(-1)
    later = torch.arange(queries)[nearest > 0]
    previous = weights[:, later, nearest[later] - 1].mean(-1) if len(later) else torch.zeros(heads)
    columns = (each.tolist() for each in (entropy, distance, previous, diagonal))
    return [HeadSummary(*each) for each in zip(*columns, strict=True)]


def merge_words(
    weights: Float[Tensor, "H T S"], query_words: Sequence[int], key_words: Sequence[int]
) -> Float[Tensor, "H t s"]:
    """Weights between words: summed over the tokens of a key, averaged over those of a query."""
    of_query = F.one_hot(torch.tensor(query_words)).to(weights)
    of_key = F.one_hot(torch.tensor(key_words)).to(weights)
    return (of_query / of_query.sum(0)).T @ weights @ of_key


def quantise(weights: Float[Tensor, "H T S"]) -> npt.NDArray[np.uint8]:
    """Weights in 255ths, rounded."""
    whole: npt.NDArray[np.uint8] = (weights * 255).round().to(torch.uint8).numpy()
    return whole


def thumbnails(weights: Float[Tensor, "H T S"]) -> npt.NDArray[np.uint8]:
    """Each head on at most 24 rows and columns, quantised: of every patch the largest weight stays."""
    size = (min(THUMBNAIL, weights.shape[1]), min(THUMBNAIL, weights.shape[2]))
    return quantise(F.adaptive_max_pool2d(weights, size))
