"""The largest numbers of rows, against PyTorch's `topk`."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headway.decoding.largest import largest
from headway.runtime import limited_threads


@given(
    rows=st.integers(1, 5),
    width=st.integers(1, 150),
    count=st.integers(1, 12),
    steps=st.sampled_from([2, 10, 10**6]),
    seed=st.integers(0, 2**16),
)
def test_they_are_those_of_topk(rows: int, width: int, count: int, steps: int, seed: int) -> None:
    x = torch.randint(-steps, steps, (rows, width), generator=torch.Generator().manual_seed(seed)) / 7
    count = min(count, width)
    values, places = largest(x, count)
    assert torch.equal(values, x.topk(count, dim=1).values)
    assert torch.equal(x.gather(1, places), values)
    assert all(len(set(row)) == count for row in places.tolist())


def test_of_equal_ones_the_first_comes_first() -> None:
    x = torch.zeros(2, 100)
    x[:, [3, 40, 99]] = 1.0
    assert largest(x, 5)[1].tolist() == [[3, 40, 99, 0, 1]] * 2


def test_what_is_forbidden_or_no_number_is_never_preferred() -> None:
    x = torch.full((1, 70), -torch.inf)
    x[0, [2, 65]] = torch.tensor([-5.0, -4.0])
    x[0, [7, 66]] = torch.nan
    values, places = largest(x, 4)
    assert values[0, :2].tolist() == [-4.0, -5.0] and places[0, :2].tolist() == [65, 2]
    assert (values[0, 2:] == -torch.inf).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_rows_are_shared_out(threads: int) -> None:
    x = torch.randn(50, 8000)
    with limited_threads(threads):
        values, places = largest(x, 4)
    assert torch.equal(places, x.topk(4, dim=1).indices) and torch.equal(values, x.topk(4, dim=1).values)


def test_other_kinds_of_numbers_and_what_lies_elsewhere() -> None:
    x = torch.randn(6, 40, dtype=torch.float64)
    for each in (x, x.float().t(), x.float()[:, ::2]):
        assert torch.equal(largest(each, 3)[0], each.topk(3, dim=1).values)
