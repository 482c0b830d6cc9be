"""Dropout against its definition: which share is dropped, what becomes of the rest, and of its gradient."""

import pytest
import torch

from headway.model.dropout import Dropout


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_each_place_is_dropped_as_often_as_any(p: float) -> None:
    torch.manual_seed(1)
    times, width = 20_000, 9  # no multiple of the lanes, so that each place falls into each of them
    dropped = (Dropout(p)(torch.ones(times, width)) == 0).double()
    error = (p * (1 - p) / times) ** 0.5
    assert (dropped.mean(0) - p).abs().max() < 4 * error
    together = (dropped[:, :-1] * dropped[:, 1:]).mean()
    assert together == pytest.approx(p * p, abs=4 * (p * p / (times * (width - 1))) ** 0.5), "neighbours"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_is_kept_grows_and_its_gradient_too(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    x = torch.randn(7, 3, 5, dtype=dtype, requires_grad=True)
    found = Dropout(0.25)(x)
    found.sum().backward()
    kept = found != 0
    assert found.dtype == dtype
    assert 0 < kept.sum() < x.numel()
    torch.testing.assert_close(found, x * kept / 0.75)
    assert x.grad is not None
    torch.testing.assert_close(x.grad, kept.to(dtype) / 0.75)


def test_it_follows_the_seed_and_rests_outside_training() -> None:
    dropout, x = Dropout(0.5), torch.randn(100)
    torch.manual_seed(3)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(3)
    assert torch.equal(dropout(x), first)
    assert not torch.equal(first, second)
    assert dropout.eval()(x) is x
    assert Dropout(0.0)(x) is x
