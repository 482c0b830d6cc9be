"""Layers on plain objects compute what the modules compute, whatever their shape."""

import copy

import pytest
import torch
from torch import Tensor, nn

from headway.decoding.layout import preparation
from headway.decoding.straight import straighten
from headway.model.attention import Attention
from headway.model.feed_forward import FeedForward
from headway.model.layer import Layer, Residual

from ..model.shapes import SHAPES, Shape, config_of, encoder_decoder, text


@torch.inference_mode()
def numbers(model: nn.Module) -> list[Tensor]:
    """Of one pass, and of two steps with a cache."""
    torch.manual_seed(0)
    inputs, source = text(2, 5), text(2, 4)
    cache = model.begin(source)
    return [model(inputs, source), *(model.step(inputs.ids[:, i : i + 1], cache) for i in range(2))]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape[:5])))
def test_the_numbers_are_the_same(shape: Shape) -> None:
    model = encoder_decoder(config_of(shape))
    expected = numbers(model)
    straighten(model)
    assert all(torch.equal(a, b) for a, b in zip(numbers(model), expected, strict=True))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_model_that_is_ready_calls_no_modules_inside_its_layers(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = encoder_decoder(config_of(SHAPES[0]))
    preparation(precision, torch.device("cpu"))(model)
    called: list[nn.Module] = []
    inner = nn.Module._call_impl

    def count(self: nn.Module, *arguments: object, **named: object) -> object:
        called.append(self)
        return inner(self, *arguments, **named)

    monkeypatch.setattr(nn.Module, "_call_impl", count)
    numbers(model)
    assert any(isinstance(each, Layer) for each in called), "who watches layers from outside sees none"
    assert not any(isinstance(each, Residual | Attention | FeedForward) for each in called)


def test_a_copy_has_weights_of_its_own() -> None:
    model = encoder_decoder(config_of(SHAPES[0]))
    straighten(model)
    other = copy.deepcopy(model)
    expected = numbers(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    assert all(torch.equal(a, b) for a, b in zip(numbers(other), expected, strict=True))
    assert not torch.equal(numbers(model)[0], expected[0]), "a change of a parameter is not seen"
