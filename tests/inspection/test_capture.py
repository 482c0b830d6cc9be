"""Captured weights are all there were, they are weights, and capturing them changes nothing."""

import pytest
import torch

from headway.batch import Tokens
from headway.inspection.capture import capture_attention
from headway.model.backends import sdpa
from headway.model.config import TransformerConfig
from tests.model.conftest import name_of
from tests.model.shapes import (
    LAYERS,
    SHAPES,
    Shape,
    assert_near,
    causal,
    config_of,
    encoder_decoder,
    masked,
    outputs,
    text,
)


@pytest.fixture(params=SHAPES, ids=name_of)
def config(request: pytest.FixtureRequest) -> TransformerConfig:
    shape: Shape = request.param
    return config_of(shape)


def test_it_sees_all_and_changes_nothing(config: TransformerConfig) -> None:
    # padding reads a source that has none, and the other way round
    inputs, source = text(2, 5, [3, 5]), text(2, 7, [7, 4])
    for model, reads, expected in (
        (
            encoder_decoder(config),
            source,
            {"encoder": [(7, 7)] * LAYERS, "decoder": [(5, 5), (5, 7)] * LAYERS},
        ),
        (causal(config), None, {"decoder": [(5, 5)] * LAYERS}),
        (masked(config), None, {"encoder": [(5, 5)] * LAYERS}),
    ):
        plain = outputs(model, inputs, reads)
        with capture_attention(model) as seen:
            assert_near(outputs(model, inputs, reads), plain)
        shapes = {name: [tuple(weights.shape) for weights in stack] for name, stack in seen.items()}
        assert shapes == {name: [(2, 4, *size) for size in sizes] for name, sizes in expected.items()}
        for weights in (weights for stack in seen.values() for weights in stack):
            assert_near(weights.sum(-1), torch.ones(weights.shape[:-1]))
            assert weights.ge(0).all()
        assert torch.equal(outputs(model, inputs, reads), plain)


def test_what_is_hidden_has_no_weight(config: TransformerConfig) -> None:
    inputs, source = text(2, 5, [5, 3]), text(2, 7, [7, 4])
    model = encoder_decoder(config)
    with capture_attention(model) as seen:
        outputs(model, inputs, source)
    for own, memory in zip(seen["decoder"][::2], seen["decoder"][1::2], strict=True):
        assert own.triu(1).eq(0).all(), "the future"
        assert own.tril().sum() > 0
        assert memory[1, :, :3, 4:].eq(0).all(), "padding of the source"
        assert memory[1, :, :3, :4].gt(0).all()
    for layer, weights in enumerate(seen["encoder"]):
        assert weights[1, :, :4, 4:].eq(0).all()
        reach = config.window_of(layer) or weights.shape[-1]
        near = torch.ones(weights.shape[-2:]).triu(-reach).tril(reach).bool()
        assert torch.equal(weights[0] > 0, near.expand(len(weights[0]), -1, -1))


def test_steps_are_captured_too(config: TransformerConfig) -> None:
    model, ids = causal(config), text(2, 4).ids
    with capture_attention(model) as whole:
        outputs(model, Tokens(ids))
    cache = model.begin(2)
    with capture_attention(model) as steps, torch.no_grad():
        for column in range(4):
            model.step(ids[:, column : column + 1], cache)
    last = steps["decoder"][-LAYERS:]
    for by_step, at_once in zip(last, whole["decoder"], strict=True):
        assert_near(by_step[:, :, 0], at_once[:, :, 3])


def test_the_kernel_comes_back_whatever_happens() -> None:
    model = encoder_decoder(config_of(SHAPES[0]))
    with pytest.raises(ZeroDivisionError), capture_attention(model):
        assert model.encoder.backend is not sdpa
        _ = 1 // 0
    assert model.encoder.backend is sdpa
    assert model.decoder.backend is sdpa


def test_captures_may_stand_inside_one_another() -> None:
    model, inputs = causal(config_of(SHAPES[0])), text(1, 3)
    with capture_attention(model) as outer:
        outputs(model, inputs)
        with capture_attention(model) as inner:
            outputs(model, inputs)
        outputs(model, inputs)
    assert len(inner["decoder"]) == LAYERS
    assert len(outer["decoder"]) == 2 * LAYERS
