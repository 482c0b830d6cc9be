"""Weights laid out for decoding are the same weights."""

import copy

import torch
from torch import nn

from headway.decoding.layout import lay_out_for_few_rows

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
    assert all(each.weight.t().is_contiguous() for each in linear)
    assert laid_out.output.weight is laid_out.embedding.tokens.weight, "the two ends are tied no longer"
