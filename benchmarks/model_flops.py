"""Multiplications and additions of a model's matrix products, counted from its shape."""

from collections.abc import Sequence

from headway.model.config import TransformerConfig

BACKWARD = 2
"""The backward pass has two products for each of the forward pass: for the input, and for the weights."""


def forward_flops(
    config: TransformerConfig, targets: Sequence[int], sources: Sequence[int], labels: int
) -> int:
    """Of one pass over texts of so many tokens, each in a row of its own, attention included.

    `targets` are the rows of the decoder, or of an encoder alone; `sources` those of an encoder-decoder's
    encoder. The vocabulary is counted for `labels` positions. Causal attention counts as if it saw the whole
    row, and nothing is counted for norms, softmax and lookups: so does `torch.utils.flop_counter`.
    """
    tokens, read = sum(targets), sum(sources)
    d_model, memory = config.d_model, config.architecture == "encoder-decoder"
    feed_forward = (3 if config.is_gated else 2) * d_model * config.d_ff
    heads, keys = config.attention.num_heads, config.num_kv_heads
    queries = d_model * heads * (config.d_key + config.d_value)  # W^Q and W^O
    offered = d_model * keys * (config.d_key + config.d_value)  # W^K and W^V
    pair = heads * (config.d_key + config.d_value)  # one query and one key
    encoder_rows = sources if memory else targets
    encoder = config.encoder_layers * (
        sum(encoder_rows) * (queries + offered + feed_forward) + sum(n * n for n in encoder_rows) * pair
    )
    decoder = config.decoder_layers * (
        tokens * (queries + offered + feed_forward) + sum(n * n for n in targets) * pair
    )
    if memory:
        seen = sum(t * s for t, s in zip(targets, sources, strict=True))
        decoder += config.decoder_layers * (tokens * queries + read * offered + seen * pair)
    head = labels * d_model * (config.vocab_size + config.output_transform * d_model)
    return 2 * (encoder + decoder + head)


def training_flops(
    config: TransformerConfig, targets: Sequence[int], sources: Sequence[int], labels: int
) -> int:
    """Of the forward and backward pass of one step."""
    return (1 + BACKWARD) * forward_flops(config, targets, sources, labels)
