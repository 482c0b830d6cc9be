"""CTranslate2 computes what our model computes, for every shape that it is said to hold."""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from headway.bundle import Bundle
from headway.errors import UserError
from headway.interop.compatibility import verdict
from headway.interop.ctranslate2 import RULES, convert, make_spec, token_names
from headway.interop.ctranslate2_export import DEMANDS, export
from headway.interop.precision import Watched
from headway.interop.proof import Row, Texts, generated_texts, prove
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.text.tokenizer import Tokenizer
from tests.interop.laws import difference, our_best, our_logits, random_ids, random_row
from tests.interop.random_models import bundle_of, config_of, shapes

ctranslate2 = pytest.importorskip("ctranslate2")

TINY = TransformerConfig(
    vocab_size=1,
    encoder_layers=2,
    decoder_layers=2,
    d_model=32,
    d_ff=40,
    attention=AttentionConfig(num_heads=4),
)
DECODER = replace(TINY, encoder_layers=0)
MODERN = replace(
    TINY,
    activation="swiglu",
    bias=False,
    attention=AttentionConfig(num_heads=4, num_kv_heads=2),
    norm=NormConfig(kind="rms", position="pre"),
    positions=PositionConfig(kind="rotary"),
)
ANY_DECODING = shapes(layers=((2, 2), (1, 3), (0, 2)))


def few_texts(bundle: Bundle) -> Texts:
    texts = generated_texts(bundle)
    return Texts(texts.lines[:6], texts.origin)


def holds_what_it_says(config: TransformerConfig) -> None:
    broken = [rule for rule in RULES if not rule.holds(config)]
    bundle = bundle_of(config)
    if broken:
        with pytest.raises(UserError) as refusal:
            make_spec_or_refuse(bundle)
        assert all(rule.reason in str(refusal.value) for rule in broken)
        return
    row = random_row(bundle)
    with TemporaryDirectory() as folder:
        opponent = export(bundle, Path(folder))
        assert difference(bundle, opponent, row) <= 1e-5
        assert opponent.search(row, 1, 9) == our_best(bundle, row, 1, 9, shared_out=True)
        written = opponent.search(row, 3, 9)
        # Each is the best of what its own pruning left; both are found by the same steps.
        assert written == our_best(bundle, row, 3, 9, shared_out=True) or close(bundle, row, written)


def close(bundle: Bundle, row: Row, written: list[int] | None) -> bool:
    """Whether an output is as likely as ours, by the model's own probabilities, or more so."""
    assert written is not None
    end = bundle.tokenizers.target.special.end

    def log_prob(ids: list[int]) -> float:
        whole = [*row.prompt, *ids, *([] if len(ids) == 9 else [end])]
        log_probs = our_logits(bundle, replace(row, inputs=whole[:-1])).log_softmax(dim=-1)
        labels = torch.tensor(whole[len(row.prompt) :])
        return float(log_probs[len(row.prompt) - 1 :].gather(1, labels[:, None]).sum())

    return log_prob(written) >= log_prob(our_best(bundle, row, 3, 9, shared_out=True)) - 1e-4


def make_spec_or_refuse(bundle: Bundle) -> None:
    with TemporaryDirectory() as folder:
        convert(bundle, Path(folder))


@settings(max_examples=12)
@given(ANY_DECODING)
def test_random_shapes_are_held_or_refused(shape: dict[str, Any]) -> None:
    holds_what_it_says(config_of(shape))


@pytest.mark.slow
@settings(max_examples=200)
@given(ANY_DECODING)
def test_many_random_shapes_are_held_or_refused(shape: dict[str, Any]) -> None:
    holds_what_it_says(config_of(shape))


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        MODERN,
        replace(MODERN, encoder_layers=0),
        replace(TINY, positions=PositionConfig(kind="relative", buckets=8, max_distance=9)),
        replace(DECODER, positions=PositionConfig(kind="alibi")),
        replace(DECODER, attention=AttentionConfig(num_heads=4, normalize=True)),
        replace(TINY, source_vocab_size=1, norm=NormConfig(embedding=True), activation="geglu"),
    ],
    ids=["paper", "modern", "llama", "t5", "alibi", "query-norm", "bart"],
)
def test_shapes_without_a_class_elsewhere_too(config: TransformerConfig, tmp_path: Path) -> None:
    bundle = bundle_of(config)
    assert verdict("ctranslate2", bundle.config).possible
    assert difference(bundle, export(bundle, tmp_path), random_row(bundle)) <= 1e-5


def test_long_texts_keep_their_positions(tmp_path: Path) -> None:
    bundle = bundle_of(TINY)
    row = random_row(bundle)
    long = replace(row, inputs=[2, *random_ids(299, 12)], source=[*random_ids(300, 12), 3])
    assert difference(bundle, export(bundle, tmp_path), long) <= 1e-5


@pytest.mark.parametrize(
    "type", ["int8", *(pytest.param(each, marks=pytest.mark.slow) for each in ("float16", "bfloat16"))]
)
def test_coarse_types_stay_near(type: str, tmp_path: Path) -> None:
    bundle = bundle_of(replace(MODERN, encoder_layers=0), roughness=0.02)
    before = {name: tensor.clone() for name, tensor in bundle.model.state_dict().items()}
    opponent = Watched(export(bundle, tmp_path, type))  # type: ignore[arg-type]
    proof = prove(bundle, opponent, few_texts(bundle), DEMANDS[type])  # type: ignore[index]
    assert proof.failures == []
    assert 1e-6 < proof.difference < 0.1
    cost = opponent.cost(bundle)
    assert cost.low <= cost.theirs - cost.ours <= cost.high
    assert abs(cost.theirs - cost.ours) < 0.05
    assert "95 % interval" in cost.line()
    for name, tensor in bundle.model.state_dict().items():
        assert torch.equal(tensor, before[name]), "the conversion wrote into the model"


def test_an_exact_copy_costs_nothing(tmp_path: Path) -> None:
    bundle = bundle_of(DECODER)
    opponent = Watched(export(bundle, tmp_path))
    assert prove(bundle, opponent, few_texts(bundle)).difference <= 1e-5
    cost = opponent.cost(bundle)
    assert cost.ours == pytest.approx(cost.theirs, abs=1e-4)


def test_integers_never_overflow_in_pairs(tmp_path: Path) -> None:
    """Two products of an unsigned 8-bit number and a weight must fit into 16 bits."""
    from ctranslate2.specs.model_spec import visit_spec

    from headway.interop.ctranslate2 import _to_int8

    spec = make_spec(bundle_of(TINY))
    _to_int8(spec)
    largest = []

    def look(_: object, name: str, value: object) -> None:
        if isinstance(value, np.ndarray) and value.dtype == np.int8:
            largest.append(int(np.abs(value.astype(int)).max()))

    visit_spec(spec, look)
    assert largest
    assert 2 * 255 * max(largest) < 2**15


def test_names_of_tokens_are_unique_and_complete() -> None:
    bundle = bundle_of(TINY)
    names = token_names(bundle.tokenizers.target, bundle.config.vocab_size)
    assert len(names) == len(set(names)) == bundle.config.vocab_size
    assert names[:5] == ["<pad>", "<unk>", "<s>", "</s>", "<mask>"]
    taken = bundle.tokenizers.target.to_json().replace('"a"', f'"<unused_{len(names) - 1}>"')
    names = token_names(Tokenizer(taken), len(names))
    assert len(names) == len(set(names))


def test_masked_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no head that predicts masked tokens"):
        export(bundle_of(replace(TINY, decoder_layers=0)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_names_the_change(tmp_path: Path) -> None:
    config = replace(TINY, attention=AttentionConfig(num_heads=4, normalize=True))
    with pytest.raises(UserError, match=r"change: model\.attention\.normalize=false"):
        convert(bundle_of(config), tmp_path)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(UserError, match=r"needs the package ctranslate2: pip install 'headway\[interop\]'"):
        convert(bundle_of(TINY), tmp_path)
