"""Records are the weights that the model computed, with the tokens they lie between."""

import pytest
import torch

from headway.errors import UserError
from headway.inspection.capture import capture_attention, twin
from headway.inspection.reading import read
from headway.inspection.record import record_attention
from headway.model.backends import sdpa
from headway.model.config import AttentionConfig, NormConfig, PositionConfig
from headway.model.stack import Stack

from .bundles import HEADS, LAYERS, SOURCE, TEXT, bundle_of, source_of, tokenizer

KINDS = [
    PositionConfig(kind=kind) for kind in ("sinusoidal", "learned", "rotary", "alibi", "relative", "none")
]


@pytest.mark.parametrize("kind", ["pairs", "causal", "masked"])
def test_rows_of_keys_sum_to_one_and_the_future_has_none(kind: str) -> None:
    recording = record_attention(bundle_of(kind), source_of(kind), TEXT)
    for record in recording.records:
        weights = record.weights
        assert weights.shape == (HEADS, len(record.query_tokens), len(record.key_tokens))
        assert torch.allclose(weights.sum(-1), torch.ones(weights.shape[:2]), atol=1e-5)
        assert weights.ge(0).all()
        if record.stack == "decoder" and record.sees == "self":
            assert weights.triu(1).eq(0).all()
            assert weights.tril().gt(0).sum() == HEADS * weights.shape[1] * (weights.shape[1] + 1) / 2


def test_every_layer_is_there_in_order() -> None:
    names = {
        kind: [(each.stack, each.layer, each.sees) for each in recording.records]
        for kind in LAYERS
        for recording in [record_attention(bundle_of(kind), source_of(kind), TEXT)]
    }
    assert names["pairs"] == [("encoder", 1, "self"), ("encoder", 2, "self")] + [
        ("decoder", layer, sees) for layer in (1, 2, 3) for sees in ("self", "memory")
    ]
    assert names["causal"] == [("decoder", 1, "self"), ("decoder", 2, "self")]
    assert names["masked"] == [("encoder", 1, "self"), ("encoder", 2, "self")]


@pytest.mark.parametrize("positions", KINDS, ids=lambda each: each.kind)
@pytest.mark.parametrize("kind", ["pairs", "causal", "masked"])
def test_the_weights_are_the_models_own(kind: str, positions: PositionConfig) -> None:
    """The model itself, captured in place, gives the same; and it was left as it was."""
    local = AttentionConfig(window=2, global_every=2)
    bundle = bundle_of(kind, positions, NormConfig(position="pre"), local)
    recording = record_attention(bundle, source_of(kind), TEXT)
    assert all(each.backend is sdpa for each in bundle.model.modules() if isinstance(each, Stack))
    reading = read(bundle, source_of(kind), TEXT)
    with capture_attention(bundle.model) as seen, torch.no_grad():
        bundle.model(reading.inputs, reading.source_inputs)
    own = [weights[0] for name in ("encoder", "decoder") for weights in seen.get(name, [])]
    assert len(own) == len(recording.records)
    for record, weights in zip(recording.records, own, strict=True):
        assert torch.equal(record.weights, weights)


def test_tokens_stand_where_the_model_reads_them() -> None:
    pairs = record_attention(bundle_of("pairs"), SOURCE, TEXT)
    assert pairs.target.tokens == ["<s>", *tokenizer().pieces(tokenizer().encode(TEXT))]
    assert pairs.source is not None
    assert pairs.source.tokens[-1] == "</s>"
    assert "".join(pairs.source.tokens[:-1]) == SOURCE.replace(" ", "▁")
    memory = pairs.record("decoder", 2, "memory")
    assert memory.query_tokens == [*pairs.target.tokens[1:], "</s>"], "what is written there"
    assert memory.key_tokens == pairs.source.tokens
    assert pairs.record("encoder", 1).query_tokens == pairs.source.tokens
    masked = record_attention(bundle_of("masked"), None, "the ___ sat")
    assert [masked.target.tokens[0], masked.target.tokens[-1]] == ["<s>", "</s>"]
    assert masked.target.tokens.count("<mask>") == 1
    assert record_attention(bundle_of("causal"), None, "").target.tokens == ["<s>"]


def test_subwords_of_a_word_have_its_number() -> None:
    row = record_attention(bundle_of("causal"), None, "a zebra is fat").target
    words = [
        "".join(token for token, word in zip(row.tokens, row.words, strict=True) if word == number)
        for number in range(row.words[-1] + 1)
    ]
    assert words == ["<s>", "a", "▁zebra", "▁is", "▁fat"]
    assert len(row.tokens) > len(words), "nothing was split"


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(UserError, match="reads a source: give one"):
        record_attention(bundle_of("pairs"), None, TEXT)
    for kind in ("causal", "masked"):
        with pytest.raises(UserError, match="give the text alone"):
            record_attention(bundle_of(kind), SOURCE, TEXT)
    recording = record_attention(bundle_of("pairs"), SOURCE, TEXT)
    with pytest.raises(UserError, match=r"no attention of decoder layer 4 \(memory\).*layers 1 to 3"):
        recording.record("decoder", 4, "memory")


def test_a_twin_shares_weights_and_nothing_else() -> None:
    model = bundle_of("pairs").model.train()
    other = twin(model)
    assert not other.training
    assert model.training
    assert [id(each) for each in other.parameters()] == [id(each) for each in model.parameters()]
    assert not {id(each) for each in model.modules()} & {id(each) for each in other.modules()}
    assert other.output.weight is other.embedding.tokens.weight
