"""Rows of different caches in one, as if each went on alone."""

import pytest
import torch
from torch import Tensor

from headway.batch import Tokens
from headway.model.architectures import CausalLM, EncoderDecoder, build
from headway.model.cache import Cache
from headway.model.config import AttentionConfig, PositionConfig, TransformerConfig


def shape(**more: object) -> TransformerConfig:
    settings: dict[str, object] = {
        "vocab_size": 11,
        "d_model": 16,
        "d_ff": 16,
        "dropout": 0.0,
        "attention": AttentionConfig(num_heads=2),
        **more,
    }
    return TransformerConfig(**settings)  # type: ignore[arg-type]


SHAPES = [
    shape(encoder_layers=0, decoder_layers=2),
    shape(encoder_layers=1, decoder_layers=2),
    shape(encoder_layers=0, decoder_layers=1, positions=PositionConfig(kind="rotary")),
    shape(encoder_layers=1, decoder_layers=1, positions=PositionConfig(kind="relative")),
]


def begun(model: CausalLM | EncoderDecoder, sources: list[list[int]]) -> Cache:
    """A cache that has read nothing of a target yet."""
    if isinstance(model, CausalLM):
        return model.begin(len(sources))
    width = max(map(len, sources))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in sources])
    even = len(set(map(len, sources))) == 1
    return model.begin(Tokens(ids, None if even else (ids != 0).long()))


@pytest.mark.parametrize("config", SHAPES, ids=["causal", "pairs", "rotary", "relative"])
@torch.no_grad()
def test_rows_that_join_go_on_as_alone(config: TransformerConfig) -> None:
    model = build(config).eval()
    assert isinstance(model, CausalLM | EncoderDecoder)
    parts = [
        ([[5, 6, 7]], torch.tensor([[2, 5, 6, 7, 8]])),
        ([[5], [6, 7, 8, 9, 10]], torch.tensor([[2, 9], [2, 8]])),
        ([[9, 9]], torch.tensor([[2]])),
    ]
    alone = [begun(model, sources) for sources, _ in parts]
    joined: Cache | None = None
    for sources, ids in parts:
        cache = begun(model, sources)
        model.step(ids, cache)
        if joined is None:
            joined = cache
        else:
            joined.join(cache)
            # Between two that join the others go on.
            model.step(torch.full((len(joined.lengths), 1), 4), joined)
    assert joined is not None
    expected: list[Tensor] = []
    steps = [2, 2, 1]
    for cache, (_, ids), count in zip(alone, parts, steps, strict=True):
        model.step(ids, cache)
        for _ in range(count):
            model.step(torch.full((len(ids), 1), 4), cache)
        expected.append(model.step(torch.full((len(ids), 1), 7), cache))
    found = model.step(torch.full((4, 1), 7), joined)
    torch.testing.assert_close(found, torch.cat(expected), atol=1e-5, rtol=1e-5)
    assert joined.lengths.tolist() == [8, 5, 5, 3]


@torch.no_grad()
def test_joining_gives_back_room_that_nobody_needs() -> None:
    model = build(SHAPES[1]).eval()
    assert isinstance(model, EncoderDecoder)
    long = begun(model, [[5] * 300, [6]])
    model.step(torch.full((2, 400), 5), long)
    long.keep(torch.tensor([1]))
    long.lengths, long.bound = torch.tensor([3]), 3
    other = begun(model, [[5, 6]])
    model.step(torch.tensor([[2]]), other)
    long.join(other)
    assert long.own[0].k.shape[2] < 100
    assert long.memory[0].k.shape[2] == 2
