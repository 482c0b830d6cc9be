"""Local and global layers, each with the mask and the rotation that is its own."""

from typing import Any

import pytest
import torch
from torch import nn

from headway.batch import Tokens
from headway.config import from_table
from headway.inspection.capture import capture_attention
from headway.model.architectures import CausalLM, MaskedLM, build
from headway.model.config import TransformerConfig
from headway.model.positions import positions_of

from .shapes import assert_near, outputs

WINDOW, LENGTH = 2, 8


def config(**fields: Any) -> TransformerConfig:
    sizes = {"vocab_size": 29, "d_model": 16, "d_ff": 8, "dropout": 0.0}
    return from_table(TransformerConfig, {**sizes, "encoder_layers": 5, "decoder_layers": 0, **fields})


def tokens() -> Tokens:
    return Tokens(torch.randint(0, 29, (1, LENGTH)))


def distances_seen(model: nn.Module) -> list[list[int]]:
    """Of each layer of the encoder or decoder, how far keys stand that have any weight."""
    with capture_attention(model) as seen:
        outputs(model, tokens())  # type: ignore[arg-type]
    (stack,) = seen.values()
    places = torch.arange(LENGTH)
    distances = places - places[:, None]
    return [sorted({int(d) for d in distances[weights[0].sum(0) > 0]}) for weights in stack]


@pytest.mark.parametrize(
    ("every", "is_global"),
    [(None, [False] * 5), (2, [True, False, True, False, True]), (3, [True, False, False, True, False])],
)
def test_local_layers_see_their_window_and_global_ones_all(every: int | None, is_global: list[bool]) -> None:
    attention = {"num_heads": 4, "window": WINDOW, "global_every": every}
    everywhere, near = list(range(1 - LENGTH, LENGTH)), list(range(-WINDOW, WINDOW + 1))
    expected = [everywhere if whole else near for whole in is_global]
    assert distances_seen(build(config(attention=attention))) == expected
    decoder = config(attention=attention, encoder_layers=0, decoder_layers=5)
    before = [[d for d in each if d <= 0] for each in expected]
    assert distances_seen(build(decoder)) == before


def test_local_layers_turn_by_a_base_of_their_own() -> None:
    fields: dict[str, Any] = {
        "encoder_layers": 2,
        "attention": {"num_heads": 4, "window": LENGTH, "global_every": 2},
    }
    two = build(config(**fields, positions={"kind": "rotary", "base": 100.0, "local_base": 7.0}))
    assert isinstance(two, MaskedLM)
    places = positions_of(tokens())
    for base, layer in ((100.0, 0), (7.0, 1)):
        one = build(config(**fields, positions={"kind": "rotary", "base": base}))
        assert isinstance(one, MaskedLM)
        expected = one.encoder.rotation(None, places)
        found = two.encoder.rotation(two.encoder.windows[layer], places)
        assert found is not None
        assert expected is not None
        assert torch.equal(found.cos, expected.cos)
        assert torch.equal(found.sin, expected.sin)


def test_a_wide_window_hides_nothing() -> None:
    """And one that is narrower by one place does."""
    inputs, models = tokens(), []
    for window in (None, LENGTH - 1, LENGTH - 2):
        torch.manual_seed(0)
        models.append(build(config(attention={"num_heads": 4, "window": window})).eval())
    plain, wide, narrow = (outputs(model, inputs) for model in models)
    assert_near(wide, plain)
    assert not torch.isclose(narrow, plain).all(-1).any()


def test_the_first_norm_may_be_left_out() -> None:
    model = build(config(norm={"position": "pre", "first": False}))
    assert isinstance(model, MaskedLM)
    kinds = [type(layer.self_residual.norm) for layer in model.encoder.layers]
    assert kinds == [nn.Identity, *[nn.LayerNorm] * 4]
    assert isinstance(model.encoder.layers[0].feed_forward_residual.norm, nn.LayerNorm)


@pytest.mark.parametrize("kind", ["alibi", "relative"])
def test_distances_have_no_meaning_between_source_and_target(kind: str) -> None:
    """A source in another order, with its own attention left out, is the same to the decoder."""
    fields = {"encoder_layers": 1, "decoder_layers": 1, "attention": {"num_heads": 4}}
    model = build(config(**fields, positions={"kind": kind}))
    swap, memory = torch.tensor([3, 1, 0, 2]), torch.randn(1, 4, 16)
    inputs = tokens()
    with torch.no_grad():
        there, elsewhere = (
            model.decode(inputs, model.decoder.memory(each))  # type: ignore[union-attr]
            for each in (memory, memory[:, swap])
        )
    assert_near(elsewhere, there)


def test_one_table_serves_all_layers_of_a_stack() -> None:
    model = build(config(decoder_layers=3, attention={"num_heads": 4}, positions={"kind": "relative"}))
    tables = {name for name, _ in model.named_parameters() if "relative" in name}
    assert tables == {"encoder.relative.table.weight", "decoder.relative.table.weight"}


def test_no_positions_leave_a_bag_of_words() -> None:
    swap = torch.randperm(LENGTH)
    inputs = tokens()
    model = build(config(positions={"kind": "none"}, attention={"num_heads": 4})).eval()
    assert_near(outputs(model, Tokens(inputs.ids[:, swap])), outputs(model, inputs)[:, swap])


def test_the_cache_of_a_local_layer_forgets_nothing_that_is_seen() -> None:
    """Long beyond the window, where most keys are hidden."""
    decoder = config(
        encoder_layers=0, decoder_layers=2, attention={"num_heads": 4, "window": WINDOW, "global_every": 2}
    )
    model = build(decoder).eval()
    assert isinstance(model, CausalLM)
    inputs, cache = tokens(), model.begin(1)
    whole = outputs(model, inputs)
    with torch.no_grad():
        for column in range(LENGTH):
            assert_near(model.step(inputs.ids[:, column : column + 1], cache), whole[:, column])
