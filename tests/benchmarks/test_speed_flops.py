"""Operations counted from a shape are those that torch counts while it computes."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from headway.batch import NO_LABEL, Batch, Tokens
from headway.model.architectures import build
from headway.model.backends import RecordingBackend
from headway.model.config import AttentionConfig, TransformerConfig
from headway.model.stack import Stack

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from model_flops import forward_flops, training_flops

pytestmark = pytest.mark.slow

PLAIN = TransformerConfig(
    vocab_size=29,
    d_model=16,
    d_ff=24,
    encoder_layers=2,
    decoder_layers=1,
    attention=AttentionConfig(num_heads=4),
)
OWN_SIZES = AttentionConfig(num_heads=4, num_kv_heads=2, d_key=6, d_value=10)
CONFIGS = {
    "pairs": PLAIN,
    "own sizes": replace(PLAIN, attention=OWN_SIZES, activation="swiglu", source_vocab_size=31),
    "causal": replace(PLAIN, encoder_layers=0),
    "masked": replace(PLAIN, decoder_layers=0, output_transform=True),
}
ROWS, TARGETS, SOURCES = 3, 7, 5


def batch_of(config: TransformerConfig) -> tuple[Batch, list[int], list[int], int]:
    """Rows without padding, and their sizes; two positions a row have no label."""
    labels = torch.randint(0, 29, (ROWS, TARGETS))
    labels[:, 2:4] = NO_LABEL
    pairs = config.architecture == "encoder-decoder"
    source = Tokens(torch.randint(0, 29, (ROWS, SOURCES))) if pairs else None
    batch = Batch(Tokens(torch.randint(0, 29, (ROWS, TARGETS))), labels, source)
    return batch, [TARGETS] * ROWS, [SOURCES] * ROWS if pairs else [], ROWS * (TARGETS - 2)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_as_many_as_torch_counts(config: TransformerConfig) -> None:
    batch, targets, sources, labels = batch_of(config)
    model = build(config)
    for module in model.modules():  # written out, so that the backward pass repeats nothing
        if isinstance(module, Stack):
            module.backend = RecordingBackend()
    counter = FlopCounterMode(display=False)
    with counter:
        logits = model.logits(model(batch.inputs, batch.source)[batch.labels != NO_LABEL])
        forward = counter.get_total_flops()
        logits.sum().backward()
    assert forward == forward_flops(config, targets, sources, labels)
    assert counter.get_total_flops() == training_flops(config, targets, sources, labels)


def test_rows_count_by_themselves() -> None:
    """Attention is between the tokens of a row: two rows are less than one twice as long."""
    two = forward_flops(CONFIGS["causal"], [4, 4], [], 8)
    assert two == 2 * forward_flops(CONFIGS["causal"], [4], [], 4)
    assert two < forward_flops(CONFIGS["causal"], [8], [], 8)
