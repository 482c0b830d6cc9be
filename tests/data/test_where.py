"""A batch that goes wrong is told by the lines of text that it was made of."""

import re

import numpy as np
import pytest

from headway.data.in_memory import InMemory
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import CausalObjective, PairsObjective
from headway.text.special import OURS


def encoded(lengths: list[int], sources: list[int] | None = None) -> InMemory:
    """Texts of these lengths in which every token is another."""

    def side(sizes: list[int]) -> list[np.ndarray]:
        stops = 5 + np.cumsum(sizes)
        return [np.arange(stop - size, stop) for size, stop in zip(sizes, stops, strict=True)]

    return InMemory(side(lengths), None if sources is None else side(sources))


def lines_named(told: str) -> set[int]:
    return {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?=, |$)", told)}


@pytest.mark.parametrize("lengths", [[3, 2, 4, 1, 5, 30, 2], [50, 1, 1]])
def test_where_names_the_lines_of_a_batch_and_no_others(lengths: list[int]) -> None:
    """Each token is another, so what a batch predicts says which texts it is of."""
    texts = encoded(lengths)
    owner = {int(token): line for line, ids in enumerate(texts.targets, 1) for token in ids}
    loader = Loader(texts, CausalObjective(OURS), BatchConfig(tokens=16, context=8), seed=3)
    for epoch in (0, 1):
        for number, [batch] in enumerate(loader.epoch(epoch)):
            tokens = {*batch.inputs.ids.flatten().tolist(), *batch.labels.flatten().tolist()}
            assert lines_named(loader.where(epoch, number)) == {owner[t] for t in tokens if t in owner}


def test_of_many_lines_the_first_are_named() -> None:
    loader = Loader(encoded([1] * 1500), CausalObjective(OURS), BatchConfig(tokens=4000), seed=0)
    told = loader.where(0, 0)
    assert told.startswith("Its batch is of the training text's lines 1, 2, 3, ")
    assert told.endswith(" and 1,480 more")
    pairs = Loader(encoded([2], [2]), PairsObjective(OURS, OURS), BatchConfig(tokens=8), seed=0)
    assert pairs.where(0, 0) == "Its batch is of the training text's lines 1"
