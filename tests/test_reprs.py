"""What things show of themselves at a prompt helps, and is short."""

from dataclasses import replace

import torch

from headway.api import Pipeline
from headway.model.architectures import build
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.model.presets import PRESETS, preset_config
from tests.inspection.bundles import SOURCE, TEXT, bundle_of


def test_a_config_shows_what_differs_and_can_be_made_from_that() -> None:
    plain = TransformerConfig(vocab_size=37_000)
    assert repr(plain) == "TransformerConfig(vocab_size=37000)"
    other = replace(plain, d_model=64, attention=AttentionConfig(num_heads=4))
    assert repr(other) == (
        "TransformerConfig(vocab_size=37000, d_model=64, attention=AttentionConfig(num_heads=4))"
    )
    assert repr(PositionConfig()) == "PositionConfig()"
    assert repr(NormConfig(position="pre")) == "NormConfig(position='pre')"
    for name in PRESETS:
        config = preset_config(name, 300)
        assert eval(repr(config)) == config, name


def test_models_and_what_holds_them_name_kind_size_and_vocabulary() -> None:
    bundle = bundle_of("pairs")
    count = sum(parameter.numel() for parameter in bundle.model.parameters())
    target, source = (
        f"Tokenizer({each.kind}, {each.vocab_size:,} tokens)" for each in bundle.tokenizers[::-1]
    )
    assert repr(bundle) == f"Bundle(encoder-decoder, {count:,} parameters, {source} → {target})"
    assert repr(Pipeline(bundle)) == f"Pipeline({bundle!r}, on cpu)"
    assert repr(Pipeline(bundle, bundle)).endswith("on cpu, first of an ensemble of 2)")
    alone = bundle_of("causal")
    assert repr(alone).endswith(f" parameters, {target})")
    shown = repr(build(bundle.config)).splitlines()
    assert shown[0] == "EncoderDecoder("
    assert shown[1].strip() == f"encoder-decoder of {count:,} parameters: {bundle.config!r}"


def test_recordings_show_sizes_and_no_tensors() -> None:
    pipeline = Pipeline(bundle_of("pairs"))
    recording = pipeline.attend(SOURCE, TEXT)
    assert repr(recording).startswith("Recording(12 source tokens, ")
    assert repr(recording).endswith("decoder (self) layers 1 to 3, decoder (memory) layers 1 to 3)")
    record = recording.record("decoder", 2, "memory")
    heads, queries, keys = record.weights.shape
    assert repr(record) == (
        f"AttentionRecord(decoder layer 2, to memory: {heads} heads, {queries} queries × {keys} keys)"
    )
    causal = Pipeline(bundle_of("causal"))
    [mask] = causal.masks("a")
    size = len(mask.visible)
    assert repr(mask) == (
        f"MaskView(decoder to itself: {size} queries × {size} keys, {size * (size + 1) // 2} visible)"
    )
    assert repr(causal.positions(5)) == "PositionView(sinusoidal: 5 positions, 16 columns)"
    assert torch.equal(causal.positions(5).products, causal.positions(9).products[:5, :5])
