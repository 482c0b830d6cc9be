"""The task of the first page: facts in a stream, and questions about them. Axes: B rows, N things."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from headway.batch import NO_LABEL, Batch, Tokens


@dataclass(frozen=True, kw_only=True)
class Task:
    """Recall: among filler stand facts, each a key with its value, and questions: what was this key's value?

    Fact and question are one token each: a fact `3=11`, some way behind it a question `3?`, whose answer is
    `11`. New facts come all the while, so that who answers must have kept all of them.
    """

    fillers: int = 16
    keys: int = 32
    values: int = 8
    every: int = 16
    """A row has a fact for each so many tokens, all of different keys."""

    @property
    def vocab_size(self) -> int:
        return self.first_fact + self.keys * self.values

    @property
    def first_question(self) -> int:
        """Ids are those of fillers, questions, answers and facts, in this order."""
        return self.fillers

    @property
    def first_answer(self) -> int:
        return self.fillers + self.keys

    @property
    def first_fact(self) -> int:
        return self.fillers + self.keys + self.values

    def rows(self, count: int, length: int, seed: int) -> "Questions":
        """So many rows, the same for the same seed; the logarithms of distances are spread evenly."""
        chance = torch.Generator().manual_seed(seed)
        facts = length // self.every
        assert 0 < facts <= self.keys, f"{length} tokens have {facts} facts, of {self.keys} keys"
        keys = torch.rand(count, self.keys, generator=chance).argsort(1)[:, :facts]
        values = torch.randint(self.values, (count, facts), generator=chance)
        distances = (length - 1.0) ** torch.rand(count, facts, generator=chance)
        distances = distances.long().clamp(max=length - 1)
        told_at = (torch.rand(count, facts, generator=chance) * (length - distances)).long()
        asked_at = told_at + distances
        is_told, is_asked = first_come(torch.cat((told_at, asked_at), 1), length).chunk(2, dim=1)
        is_asked &= is_told

        ids = torch.randint(self.fillers, (count, length), generator=chance)
        row = torch.arange(count)[:, None].expand(count, facts)
        ids[row[is_told], told_at[is_told]] = (self.first_fact + keys * self.values + values)[is_told]
        ids[row[is_asked], asked_at[is_asked]] = self.first_question + keys[is_asked]
        labels, far = torch.full_like(ids, NO_LABEL), torch.zeros_like(ids)
        labels[row[is_asked], asked_at[is_asked]] = self.first_answer + values[is_asked]
        far[row[is_asked], asked_at[is_asked]] = distances[is_asked]
        return Questions(Batch(Tokens(ids), labels), far)


def first_come(places: Int[Tensor, "B N"], length: int) -> Bool[Tensor, "B N"]:
    """Which of N things gets the place that it wants, where a place has room for one: the first of them."""
    order = torch.arange(places.shape[1]).expand_as(places)
    owner = torch.full((len(places), length), places.shape[1])
    owner = owner.scatter_reduce(1, places, order, "amin")
    return owner.gather(1, places) == order


class Questions(NamedTuple):
    """A batch, and how many tokens back the answer lies at each of its labels; 0 elsewhere."""

    batch: Batch
    distances: Tensor
