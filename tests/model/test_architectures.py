"""The laws of the models: what may and what must not change an output."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from headway.batch import Tokens
from headway.inspection.capture import capture_attention
from headway.model.architectures import CausalLM, EncoderDecoder, MaskedLM, Transformer, build
from headway.model.config import TransformerConfig
from headway.runtime import autocast

from .shapes import (
    assert_near,
    causal,
    changed_from,
    encoder_decoder,
    masked,
    missing_pairs,
    outputs,
    packed,
    padded,
    text,
)

CPU = torch.device("cpu")


def three_models(config: TransformerConfig) -> list[tuple[Transformer, Tokens, Tokens | None]]:
    """Each architecture, with rows of different lengths to read."""
    inputs, source = text(3, 7, [7, 4, 1]), text(3, 9, [2, 9, 5])
    return [
        (encoder_decoder(config), inputs, source),
        (causal(config), inputs, None),
        (masked(config), inputs, None),
    ]


def test_the_shapes_hold_every_pair_of_choices() -> None:
    assert missing_pairs() == []


def test_the_layer_counts_choose_the_model(config: TransformerConfig) -> None:
    assert type(build(config)) is EncoderDecoder
    assert type(build(replace(config, encoder_layers=0, source_vocab_size=None))) is CausalLM
    assert type(build(replace(config, decoder_layers=0, source_vocab_size=None))) is MaskedLM


def test_the_future_is_invisible(config: TransformerConfig) -> None:
    """With a matrix, and on the fast path that has none."""
    source, whole = text(2, 5, [5, 3]), text(2, 9)
    pairs, alone = encoder_decoder(config), causal(config)
    for model, reads, now in (
        (pairs, source, whole),
        (pairs, source, Tokens(whole.ids)),
        (alone, None, whole),
    ):
        then = changed_from(now, 6)
        before, after = outputs(model, now, reads), outputs(model, then, reads)
        assert torch.equal(before[:, :6], after[:, :6])
        assert not torch.isclose(before[:, 6:], after[:, 6:]).all(-1).any(), "the present is visible"


def test_an_encoder_sees_both_sides(config: TransformerConfig) -> None:
    model, now = masked(config), text(2, 9)
    before, after = outputs(model, now), outputs(model, changed_from(now, 6))
    assert not torch.isclose(before, after).all(-1).any()


def test_a_decoder_sees_all_of_its_source(config: TransformerConfig) -> None:
    model, inputs, source = encoder_decoder(config), text(2, 4), text(2, 6)
    before, after = outputs(model, inputs, source), outputs(model, inputs, changed_from(source, 5))
    assert not torch.isclose(before, after).all(-1).any()


def test_padding_changes_nothing(config: TransformerConfig) -> None:
    inputs, source = text(2, 5), text(2, 6)
    wide, wide_source = padded(inputs, 2, 3), padded(source, 4, 1)
    for model in (causal(config), masked(config)):
        assert_near(outputs(model, wide)[:, 2:-3], outputs(model, inputs))
    pairs = encoder_decoder(config)
    assert_near(outputs(pairs, wide, wide_source)[:, 2:-3], outputs(pairs, inputs, source))


def test_rows_know_nothing_of_each_other(config: TransformerConfig) -> None:
    for model, inputs, source in three_models(config):
        assert inputs.segments is not None
        together = outputs(model, inputs, source)
        for row, length in enumerate(inputs.segments.sum(1).tolist()):
            own = Tokens(inputs.ids[row : row + 1, :length])
            reads = None
            if source is not None and source.segments is not None:
                reads = Tokens(source.ids[row : row + 1, : source.segments[row].sum()])
            assert_near(together[row : row + 1, :length], outputs(model, own, reads))


def test_causality_hides_padding_without_segments(config: TransformerConfig) -> None:
    inputs, source = text(2, 5), text(2, 6)
    wide = Tokens(padded(inputs, 0, 3).ids)
    for model, reads in ((causal(config), None), (encoder_decoder(config), source)):
        assert_near(outputs(model, wide, reads)[:, :5], outputs(model, inputs, reads))


def test_packed_equals_separate(config: TransformerConfig) -> None:
    targets, sources = [text(1, n) for n in (4, 6, 1)], [text(1, n) for n in (5, 2, 7)]
    places, end = [], 0
    for target in targets:
        places.append(slice(end, end + target.ids.shape[1]))
        end += target.ids.shape[1]
    row, source_row = packed(*targets), packed(*sources)
    for model in (causal(config), masked(config)):
        together = outputs(model, row)
        for place, target in zip(places, targets, strict=True):
            assert_near(together[:, place], outputs(model, target))
    pairs = encoder_decoder(config)
    together = outputs(pairs, row, source_row)
    for place, target, source in zip(places, targets, sources, strict=True):
        assert_near(together[:, place], outputs(pairs, target, source))


def test_backends_agree(config: TransformerConfig) -> None:
    """Here on the fast path; where there is padding, the tests of capturing compare them."""
    for model, inputs, source in three_models(config):
        fused = outputs(model, Tokens(inputs.ids), source)
        with capture_attention(model):
            assert_near(fused, outputs(model, Tokens(inputs.ids), source))


def test_gradients_are_finite_with_padding(config: TransformerConfig) -> None:
    for model, inputs, source in three_models(config):
        assert inputs.segments is not None
        inputs.segments[2] = 0  # a row of padding alone
        if source is not None and source.segments is not None:
            source.segments[0] = 0  # a source of padding alone
        model.logits(model.train()(inputs, source)).logsumexp(-1).sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_dropout_is_for_training_alone(config: TransformerConfig) -> None:
    for model, inputs, source in three_models(replace(config, dropout=0.5)):
        judged = outputs(model, inputs, source)
        assert torch.equal(judged, outputs(model, inputs, source))
        assert not torch.isclose(judged, outputs(model.train(), inputs, source)).all(-1).any()


def test_dropout_stands_where_the_paper_puts_it(config: TransformerConfig) -> None:
    """On the embeddings' sums and on each sub-layer's output, and nowhere else (Paper §5.4)."""
    places = {name for name, m in encoder_decoder(config).named_modules() if isinstance(m, nn.Dropout)}
    sublayers = {"encoder": ("self", "feed_forward"), "decoder": ("self", "memory", "feed_forward")}
    expected = {
        f"{stack}.layers.{layer}.{sublayer}_residual.dropout"
        for stack, names in sublayers.items()
        for sublayer in names
        for layer in range(2)
    }
    assert places == expected | {"embedding.dropout", "source_embedding.dropout"}


def test_bfloat16_is_close(config: TransformerConfig) -> None:
    for model, inputs, source in three_models(config):
        exact = outputs(model, inputs, source)
        with autocast(CPU, "bfloat16"):
            rough = outputs(model, inputs, source)
        assert rough.isfinite().all()
        error = (rough.float() - exact).norm() / exact.norm()
        assert 0 < float(error) < 0.05


def test_vocabularies_and_matrices_are_shared_as_asked(config: TransformerConfig) -> None:
    model = encoder_decoder(config)
    same_tokens = model.source_embedding.tokens is model.embedding.tokens
    assert same_tokens is (config.share_embeddings and config.source_vocab_size is None)
    assert model.source_embedding.tokens.num_embeddings == (config.source_vocab_size or config.vocab_size)
    assert (model.output.weight is model.embedding.tokens.weight) is config.tie_output
    hidden = torch.randn(3, 2, config.d_model)
    bias = model.output.bias if config.output_bias else torch.zeros(config.vocab_size)
    assert_near(model.logits(hidden), hidden @ model.output.weight.T + bias)


def test_the_order_of_tokens_matters(config: TransformerConfig) -> None:
    """Attention alone would not notice that two early tokens changed places."""
    swap = torch.tensor([1, 0, 2, 3, 4])
    inputs, source = text(4, 5), text(4, 5)
    inputs.ids[:, 0], inputs.ids[:, 1] = 3, 4
    source.ids[:, :2] = inputs.ids[:, :2]
    swapped, swapped_source = Tokens(inputs.ids[:, swap]), Tokens(source.ids[:, swap])

    def differ(one: Tensor, other: Tensor) -> bool:
        return not torch.isclose(one[:, -1], other[:, -1], atol=1e-5).all(-1).any()

    alone, pairs, both_sides = causal(config), encoder_decoder(config), masked(config)
    assert differ(outputs(alone, inputs), outputs(alone, swapped))
    if config.positions.kind == "none":  # where causality does not tell, nothing does
        assert config.attention.window or not differ(
            outputs(both_sides, inputs), outputs(both_sides, swapped)
        )
        return
    assert differ(outputs(both_sides, inputs), outputs(both_sides, swapped))
    assert differ(outputs(pairs, inputs, source), outputs(pairs, inputs, swapped_source))
