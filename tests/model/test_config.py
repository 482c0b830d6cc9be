"""A model that contradicts itself is refused, with the key and the remedy."""

from typing import Any, get_args

import pytest

from headway.config import from_table
from headway.errors import RecipeError
from headway.model.config import Activation, TransformerConfig


def config(**fields: Any) -> TransformerConfig:
    return from_table(TransformerConfig, {"vocab_size": 100, **fields})


def test_defaults_are_the_papers_base_model() -> None:
    """Paper Table 3, first row, and §3.1, §3.4, §3.5, §5.4."""
    base = config()
    assert (base.encoder_layers, base.decoder_layers, base.d_model, base.d_ff) == (6, 6, 512, 2048)
    assert (base.attention.num_heads, base.num_kv_heads, base.d_key, base.d_value) == (8, 8, 64, 64)
    assert (base.activation, base.norm.kind, base.norm.position) == ("relu", "layer", "post")
    assert (base.positions.kind, base.positions.base, base.dropout) == ("sinusoidal", 10000.0, 0.1)
    assert base.bias
    assert base.shares_embeddings
    assert base.tie_output
    assert base.scale_embeddings


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vocab_size": 0}, r"model\.vocab_size = 0: must be at least 1"),
        ({"d_model": 0}, r"model\.d_model = 0"),
        ({"d_ff": -1}, r"model\.d_ff = -1"),
        ({"encoder_layers": 0, "decoder_layers": 0}, "encoder_layers, decoder_layers, or both"),
        ({"encoder_layers": -1}, "encoder_layers, decoder_layers, or both"),
        ({"dropout": 1.0}, r"model\.dropout = 1\.0"),
        ({"dropout": -0.1}, r"model\.dropout = -0\.1"),
        ({"d_model": 100}, r"d_model = 100 is not a multiple of attention\.num_heads = 8"),
        ({"attention": {"num_heads": 0}}, "num_heads = 0"),
        ({"attention": {"num_kv_heads": 3}}, r"num_heads = 8 is not a multiple of num_kv_heads = 3"),
        ({"attention": {"d_key": 15}, "positions": {"kind": "rotary"}}, "d_key = 15 must be even"),
        ({"d_model": 15, "attention": {"num_heads": 3}}, "d_model = 15 must be even"),
        ({"source_vocab_size": 50, "encoder_layers": 0}, "only an encoder-decoder reads a source"),
        ({"source_vocab_size": 50, "decoder_layers": 0}, "only an encoder-decoder reads a source"),
        ({"source_vocab_size": 0}, r"model\.source_vocab_size = 0: must be at least 1"),
        ({"attention": {"num_kv_heads": 0}}, r"num_kv_heads = 0"),
        ({"attention": {"num_kv_heads": -2}}, r"num_kv_heads = -2"),
        ({"attention": {"d_key": 0}}, r"attention\.d_key = 0"),
        ({"attention": {"d_value": -4}}, r"attention\.d_value = -4"),
        ({"positions": {"max_length": 0}}, r"positions\.max_length = 0"),
        ({"positions": {"base": 0.0}}, r"model\.positions\.base = 0"),
        ({"attention": {"window": 0}}, r"model\.attention\.window = 0: must be at least 1"),
        ({"attention": {"window": 2, "global_every": 1}}, r"global_every = 1: must be at least 2"),
        ({"attention": {"global_every": 3}}, r"attention\.global_every: without attention\.window every"),
        ({"positions": {"local_base": 0.0}}, r"positions\.local_base = 0\.0: must be above 0"),
        ({"positions": {"kind": "rotary", "local_base": 9.0}}, r"positions\.local_base: only for rotary"),
        ({"positions": {"local_base": 9.0}, "attention": {"window": 2}}, r"local_base: only for rotary"),
        ({"positions": {"buckets": 2}}, r"model\.positions\.buckets = 2: must be even and at least 4"),
        ({"positions": {"buckets": 33}}, r"positions\.buckets = 33: must be even"),
        ({"positions": {"max_distance": 16}}, r"max_distance = 16: must be above half of buckets = 32"),
        ({"norm": {"first": False}}, r"norm\.first = false: only norm\.position = 'pre'"),
        ({"output_transform": True}, r"model\.output_transform: only an encoder alone"),
        ({"output_transform": True, "encoder_layers": 0}, r"only an encoder alone"),
        ({"norm": {"epsilon": -1.0}}, r"model\.norm\.epsilon = -1\.0: must be above 0"),
        ({"d_model": 10**12}, r"model: with d_model = 1000000000000 .* at most 100,000,000,000"),
        ({"encoder_layers": 10**9}, r"parameters or more"),
        (
            {"positions": {"kind": "relative", "buckets": 10**12, "max_distance": 10**13}},
            r"8,0\d\d,\d{3},\d{3},\d{3} parameters or more",
        ),
    ],
)
def test_contradictions_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        config(**fields)


def test_layers_are_local_but_for_every_so_many() -> None:
    alternating = config(attention={"window": 5, "global_every": 3})
    assert [alternating.window_of(layer) for layer in range(7)] == [None, 5, 5, None, 5, 5, None]
    assert [config(attention={"window": 5}).window_of(layer) for layer in range(2)] == [5, 5]
    assert config().window_of(0) is None


def test_gated_activations_are_known_by_name() -> None:
    gated = {name for name in get_args(Activation) if config(activation=name).is_gated}
    assert gated == {"swiglu", "geglu", "geglu_tanh"}


def test_head_sizes_of_their_own_need_no_multiple() -> None:
    own = config(d_model=100, attention={"num_heads": 8, "d_key": 16, "d_value": 24})
    assert (own.d_key, own.d_value) == (16, 24)
