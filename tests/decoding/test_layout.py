"""Weights laid out for decoding are the same weights."""

import copy

import pytest
import torch
from torch import nn

from headway.decoding.layout import lay_out_for_few_rows, preparation, quantize
from headway.errors import UserError

from .toys import tiny


def test_nothing_but_the_place_in_memory_changes() -> None:
    [model] = tiny(1, 1).models
    model.eval()
    laid_out = copy.deepcopy(model)
    lay_out_for_few_rows(laid_out)
    before, after = model.state_dict(), laid_out.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    linear = [each for each in laid_out.modules() if isinstance(each, nn.Linear)]
    assert linear
    assert all(
        (each.weight if each.out_features < each.in_features else each.weight.t()).is_contiguous()
        for each in linear
    )
    assert laid_out.output.weight is laid_out.embedding.tokens.weight, "the two ends are tied no longer"


def test_eight_bits_hold_what_linear_layers_compute() -> None:
    linear = nn.Linear(64, 96)
    rough = nn.Sequential(copy.deepcopy(linear))
    quantize(rough)
    x = torch.randn(7, 3, 64)
    with torch.inference_mode():
        expected, found = linear(x), rough(x)
    assert not torch.equal(found, expected)
    assert (found - expected).abs().max() < 0.03 * expected.abs().max()
    assert not list(rough.parameters()), "the matrix is still there in 32 bits"


def test_a_precision_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="choose from: float32, int8"):
        preparation("half", torch.device("cpu"))
    with pytest.raises(UserError, match="int8 is for the CPU"):
        preparation("int8", torch.device("cuda"))
