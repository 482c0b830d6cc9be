"""What each query sees, compared with the rule said in words, query by query."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headway.model.mask import AttentionMask

CPU = torch.device("cpu")
Segments = list[list[int]]


def sees(
    mask: AttentionMask, first: int, query_segment: int | None, key_segment: int | None, t: int, s: int
) -> bool:
    """Whether query t sees key s; `first` is the place of query 0 among the keys."""
    if mask.window is not None and abs(first + t - s) > mask.window:
        return False
    if mask.causal and s > first + t:
        return False
    if key_segment is None:
        return True
    if query_segment is None:
        return key_segment != 0
    return query_segment in (0, key_segment)


def segments(rows: int, length: int) -> st.SearchStrategy[Segments]:
    return st.lists(
        st.lists(st.integers(0, 2), min_size=length, max_size=length), min_size=rows, max_size=rows
    )


@given(
    data=st.data(),
    queries=st.integers(1, 4),
    earlier=st.integers(0, 3),
    causal=st.booleans(),
    window=st.none() | st.integers(1, 4),
)
def test_the_matrix_says_what_the_facts_say(
    data: st.DataObject, queries: int, earlier: int, causal: bool, window: int | None
) -> None:
    keys = queries + earlier
    q = data.draw(st.none() | segments(2, queries))
    k = data.draw(segments(2, keys) if q is not None else st.none() | segments(2, keys))
    firsts = data.draw(st.integers(0, earlier) | st.lists(st.integers(0, earlier), min_size=2, max_size=2))
    mask = AttentionMask(
        causal=causal,
        offset=firsts if isinstance(firsts, int) else torch.tensor(firsts),
        query_segments=None if q is None else torch.tensor(q),
        key_segments=None if k is None else torch.tensor(k),
        window=window,
    )
    dense = mask.dense(queries, keys, CPU)
    if dense is None:
        assert not causal
        assert window is None
        assert k is None
        return
    visible = dense.expand(2, 1, queries, keys)
    for row, t, s in product(range(2), range(queries), range(keys)):
        first = firsts if isinstance(firsts, int) else firsts[row]
        own, other = (None if q is None else q[row][t]), (None if k is None else k[row][s])
        assert visible[row, 0, t, s] == sees(mask, first, own, other, t, s)


def test_where_all_see_all_there_is_no_matrix() -> None:
    assert AttentionMask().dense(3, 4, CPU) is None


def test_distances_are_counted_from_the_place_of_the_query() -> None:
    assert AttentionMask(offset=2).distances(2, 4, CPU).tolist() == [[[[-2, -1, 0, 1], [-3, -2, -1, 0]]]]
    ragged = AttentionMask(offset=torch.tensor([1, 0])).distances(1, 3, CPU)
    assert ragged[:, 0, 0].tolist() == [[-1, 0, 1], [0, 1, 2]]


@pytest.mark.parametrize("window", [None, 1])
@pytest.mark.parametrize("causal", [True, False])
def test_every_query_sees_something(causal: bool, window: int | None) -> None:
    """So no softmax has an empty row, not even of padding."""
    own = torch.tensor([[0, 0, 1, 1, 2, 0], [0, 0, 0, 0, 0, 0]])
    dense = AttentionMask(causal=causal, query_segments=own, key_segments=own, window=window).dense(6, 6, CPU)
    assert dense is not None
    assert dense.any(-1).all()
