"""Texts of similar length together, under a token budget."""

from collections.abc import Sequence


def token_batches(sizes: Sequence[int], budget: int) -> list[list[int]]:
    """Indices in batches whose number times largest size is within the budget, the largest sizes first.

    A size over the budget makes a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        if batches and (len(batches[-1]) + 1) * sizes[batches[-1][0]] <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
