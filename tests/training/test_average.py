"""Averages are their formulas, and a model gets its own weights back."""

import pytest
import torch
from torch import Tensor, nn

from headway.training.average import mean_of, set_weights, start_average, update_average, weights_of

from .toys import assert_same, tiny_model


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def shaken(model: nn.Module) -> dict[str, Tensor]:
    """Other weights in the same model."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    return weights(model)


def test_the_exponential_average_is_its_formula() -> None:
    model, decay = tiny_model(), 0.75
    first = weights(model)
    average = start_average(model)
    assert_same(average, first)
    later = [shaken(model) for _ in range(4)]
    for some in later:
        set_weights(model, some)
        update_average(average, model, decay)
    for name in average:
        expected = decay**4 * first[name]
        expected = expected + sum((1 - decay) * decay ** (3 - i) * later[i][name] for i in range(4))
        torch.testing.assert_close(average[name], expected)


def test_an_average_is_a_copy() -> None:
    model = tiny_model()
    average = start_average(model)
    before = {name: tensor.clone() for name, tensor in average.items()}
    shaken(model)
    assert_same(average, before)


def test_the_mean_is_the_mean() -> None:
    model = tiny_model()
    several = [shaken(model) for _ in range(5)]
    mean = mean_of(several)
    for name, tensor in mean.items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, sum(some[name] for some in several) / 5)
    assert_same(mean_of(several[:1]), several[0])


def test_averaged_weights_are_lent_and_given_back() -> None:
    model = tiny_model()
    own, other = weights(model), {name: torch.ones_like(tensor) for name, tensor in weights(model).items()}
    with weights_of(model, other):
        assert_same(weights(model), other)
    assert_same(weights(model), own)
    with pytest.raises(ZeroDivisionError), weights_of(model, other):
        _ = 1 // 0
    assert_same(weights(model), own)
    with weights_of(model, None):
        assert_same(weights(model), own)


def test_tied_weights_stay_tied() -> None:
    model = tiny_model(tie=True)
    set_weights(model, {name: torch.full_like(tensor, 2.0) for name, tensor in weights(model).items()})
    assert model.output.weight is model.embedding.tokens.weight
    assert model.output.weight.detach().eq(2).all()
