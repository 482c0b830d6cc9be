"""How many parameters each shape has: by a formula of its own, and beside the paper's Table 3."""

import pytest
import torch

from headway.errors import RecipeError
from headway.model.architectures import build
from headway.model.config import TransformerConfig
from headway.model.presets import PRESETS, TABLE_3, merged, preset_config

TABLE_3_MILLIONS = {
    "table3-base": 65,
    "table3-a-h1": 65,
    "table3-a-h4": 65,
    "table3-a-h16": 65,
    "table3-a-h32": 65,
    "table3-b-dk16": 58,
    "table3-b-dk32": 60,
    "table3-c-n2": 36,
    "table3-c-n4": 50,
    "table3-c-n8": 80,
    "table3-c-d256": 28,
    "table3-c-d1024": 168,
    "table3-c-ff1024": 53,
    "table3-c-ff4096": 90,
    "table3-d-drop0.0": 65,
    "table3-d-drop0.2": 65,
}
"""Paper Table 3, column params ×10^6; where it is blank, that of the base model."""


def expected_count(c: TransformerConfig) -> int:
    """Parameters counted on paper, matrix by matrix."""
    heads, kv_heads, one = c.attention.num_heads, c.num_kv_heads, int(c.bias)

    def linear(size_in: int, size_out: int) -> int:
        return (size_in + one) * size_out

    norm = c.d_model * (2 if c.norm.kind == "layer" and c.bias else 1)
    attention = (
        2 * c.d_key * c.attention.normalize
        + linear(c.d_model, heads * c.d_key)
        + linear(c.d_model, kv_heads * c.d_key)
        + linear(c.d_model, kv_heads * c.d_value)
        + linear(heads * c.d_value, c.d_model)
    )
    inner = 2 if c.activation in ("swiglu", "geglu", "geglu_tanh") else 1
    feed_forward = inner * linear(c.d_model, c.d_ff) + linear(c.d_ff, c.d_model)
    stacks = bool(c.encoder_layers) + bool(c.decoder_layers)
    memory = attention + norm if c.encoder_layers and c.decoder_layers else 0
    count = (c.encoder_layers + c.decoder_layers) * (attention + feed_forward + 2 * norm)
    count += c.decoder_layers * memory
    if c.norm.position == "pre":
        count += norm * stacks  # at the end of each
    if not c.norm.first:
        count -= norm * stacks
    count += c.positions.buckets * heads * stacks * (c.positions.kind == "relative")
    count += c.vocab_size * c.output_bias
    if c.output_transform:
        count += linear(c.d_model, c.d_model) + norm

    places = c.positions.max_length * c.d_model if c.positions.kind == "learned" else 0
    places += norm * c.norm.embedding
    count += c.vocab_size * c.d_model + places
    if c.encoder_layers and c.decoder_layers:
        separate = c.source_vocab_size is not None or not c.share_embeddings
        count += separate * (c.source_vocab_size or c.vocab_size) * c.d_model + places
    return count + (not c.tie_output) * c.vocab_size * c.d_model


def built_count(config: TransformerConfig) -> int:
    with torch.device("meta"):  # no memory, no time
        model = build(config)
    return sum(parameter.numel() for parameter in model.parameters())


def millions(name: str, vocab_size: int) -> int:
    return round(expected_count(preset_config(name, vocab_size)) / 1e6)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_the_parameters_it_should(name: str) -> None:
    config = preset_config(name, 1000)
    assert built_count(config) == expected_count(config)


def test_every_shape_has_the_parameters_it_should(config: TransformerConfig) -> None:
    assert built_count(config) == expected_count(config)


@pytest.mark.parametrize("name", TABLE_3_MILLIONS)
def test_table_3_is_met_with_a_vocabulary_of_41000(name: str) -> None:
    assert millions(name, 41_000) == TABLE_3_MILLIONS[name]


def test_the_big_model_is_met_with_a_vocabulary_of_36000() -> None:
    assert millions("paper-big", 36_000) == 213
    assert millions("table3-big", 36_000) == 213
    assert millions("paper-big", 41_000) == 218, "the paper's rows are of no single vocabulary"


def test_the_papers_stated_vocabulary_does_not_give_its_figures() -> None:
    """Paper §5.1 says about 37,000 tokens: then its base model has 63 million, where Table 3 prints 65."""
    assert expected_count(preset_config("paper-base", 37_000)) == 63_082_496
    differing = {
        name: (millions(name, 37_000), printed)
        for name, printed in TABLE_3_MILLIONS.items()
        if millions(name, 37_000) != printed
    }
    assert all(counted < printed for counted, printed in differing.values())
    assert differing["table3-base"] == (63, 65)
    assert len(differing) == len(TABLE_3_MILLIONS), "every row is larger in print"


def test_the_rows_of_table_3_are_the_shapes_of_the_paper() -> None:
    def sizes(name: str) -> tuple[int, ...]:
        c = preset_config(name, 100)
        heads = (c.attention.num_heads, c.d_key, c.d_value)
        return (c.encoder_layers, c.decoder_layers, c.d_model, c.d_ff, *heads)

    assert sizes("table3-base") == sizes("paper-base") == (6, 6, 512, 2048, 8, 64, 64)
    for heads, size in ((1, 512), (4, 128), (16, 32), (32, 16)):
        assert sizes(f"table3-a-h{heads}") == (6, 6, 512, 2048, heads, size, size)
    for d_key in (16, 32):
        assert sizes(f"table3-b-dk{d_key}") == (6, 6, 512, 2048, 8, d_key, 64)
    for layers in (2, 4, 8):
        assert sizes(f"table3-c-n{layers}") == (layers, layers, 512, 2048, 8, 64, 64)
    assert sizes("table3-c-d256") == (6, 6, 256, 2048, 8, 32, 32)
    assert sizes("table3-c-d1024") == (6, 6, 1024, 2048, 8, 128, 128)
    assert sizes("table3-c-ff1024") == (6, 6, 512, 1024, 8, 64, 64)
    assert sizes("table3-c-ff4096") == (6, 6, 512, 4096, 8, 64, 64)
    assert sizes("table3-big") == sizes("paper-big") == (6, 6, 1024, 4096, 16, 64, 64)
    assert preset_config("paper-big", 100).dropout == 0.3
    assert [preset_config(f"table3-d-drop{rate}", 100).dropout for rate in (0.0, 0.2)] == [0.0, 0.2]
    assert preset_config("table3-e-learned", 100).positions.kind == "learned"
    assert set(TABLE_3) == {*TABLE_3_MILLIONS, "table3-e-learned", "table3-big"}


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(
        RecipeError, match="model preset 'paper-bse' does not exist: did you mean 'paper-base'"
    ):
        preset_config("paper-bse", 100)


def test_changes_go_in_key_by_key() -> None:
    before = {"d_model": 8, "attention": {"num_heads": 2, "d_key": 4}}
    after = merged(before, {"d_ff": 3, "attention": {"d_key": 5}})
    assert after == {"d_model": 8, "d_ff": 3, "attention": {"num_heads": 2, "d_key": 5}}
    assert before == {"d_model": 8, "attention": {"num_heads": 2, "d_key": 4}}
    config = preset_config("pairs-small", 100, {"attention": {"d_key": 10}})
    assert (config.attention.num_heads, config.d_key) == (4, 10)
