"""Batches under a token budget."""

from hypothesis import given
from hypothesis import strategies as st

from headway.decoding.batches import token_batches


@given(sizes=st.lists(st.integers(1, 50), max_size=40), budget=st.integers(1, 200))
def test_every_text_is_in_one_batch_within_the_budget(sizes: list[int], budget: int) -> None:
    batches = token_batches(sizes, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(sizes)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(sizes[i] for i in batch) <= budget
    flat = [sizes[i] for batch in batches for i in batch]
    assert flat == sorted(sizes, reverse=True)


def test_similar_lengths_share_a_batch() -> None:
    assert token_batches([1, 10, 1, 10, 1], 20) == [[1, 3], [0, 2, 4]]
