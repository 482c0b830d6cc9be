"""Encoder-decoders of transformers, opened by its own classes: the same logits in both directions."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from headway.batch import Tokens
from headway.errors import FolderError
from headway.interop.families.bart import BART
from headway.interop.families.blenderbot import BLENDERBOT
from headway.interop.families.marian import MARIAN
from headway.interop.families.mbart import MBART
from headway.interop.families.pegasus import PEGASUS
from headway.interop.families.t5 import FEED_FORWARDS, T5, THEIR_FEED_FORWARDS
from headway.interop.family import Family
from headway.interop.weights import load_weights, weights_of
from headway.model.architectures import build
from headway.model.config import Activation, AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from tests.interop.theirs import exported, roughen, written

transformers = pytest.importorskip("transformers")

V, U = 40, 33
BART_SIZES = {
    "vocab_size": V,
    "d_model": 16,
    **{
        f"{stack}_{key}": value
        for stack in ("encoder", "decoder")
        for key, value in {"layers": 2, "ffn_dim": 24, "attention_heads": 4}.items()
    },
    "max_position_embeddings": 20,
    "pad_token_id": 0,
    "eos_token_id": 3,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
OWN_VOCABULARIES = {"decoder_vocab_size": U, "share_encoder_decoder_embeddings": False}
T5_SIZES = {
    "vocab_size": V,
    "d_model": 16,
    "d_kv": 6,
    "d_ff": 24,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 9,
    "decoder_start_token_id": 2,
    "eos_token_id": 3,
}
THEIRS: list[tuple[Family, str, dict[str, Any]]] = [
    *((family, name, BART_SIZES | more) for family, name in (
        (MARIAN, "MarianConfig"),
        (PEGASUS, "PegasusConfig"),
        (BLENDERBOT, "BlenderbotConfig"),
        (BART, "BartConfig"),
        (MBART, "MBartConfig"),
    ) for more in ({"scale_embedding": True}, {"tie_word_embeddings": False, "activation_function": "relu"})),
    (MARIAN, "MarianConfig", BART_SIZES | OWN_VOCABULARIES),
    (T5, "T5Config", T5_SIZES),
    (T5, "T5Config", T5_SIZES | {"feed_forward_proj": "gated-gelu", "layer_norm_epsilon": 1e-3}),
    (T5, "T5Config", T5_SIZES | {"feed_forward_proj": "gated-silu"}),
]  # fmt: skip

WAVES, LEARNED = PositionConfig(max_length=20), PositionConfig(kind="learned", max_length=20)
RELATIVE = PositionConfig(kind="relative", buckets=8, max_distance=9)
POST, PRE = NormConfig(), NormConfig(position="pre")
NORMED_POST, NORMED_PRE = NormConfig(embedding=True), NormConfig(position="pre", embedding=True)
RMS = NormConfig(kind="rms", position="pre", epsilon=1e-6)


def ours(positions: PositionConfig, norm: NormConfig, **changes: Any) -> TransformerConfig:
    sizes = {"encoder_layers": 2, "decoder_layers": 1, "d_model": 16, "d_ff": 24}
    heads = {"attention": AttentionConfig(num_heads=4)}
    return TransformerConfig(
        **{"vocab_size": V, **sizes, **heads, "positions": positions, "norm": norm, **changes}
    )


def ours_t5(**changes: Any) -> TransformerConfig:
    heads = {"attention": AttentionConfig(num_heads=2, d_key=6, d_value=6)}
    return ours(RELATIVE, RMS, **{"bias": False, **heads, **changes})


OURS: list[tuple[Family, TransformerConfig]] = [
    (MARIAN, ours(WAVES, POST)),
    (MARIAN, ours(WAVES, POST, source_vocab_size=U, output_bias=True, bias=False)),
    (MARIAN, ours(WAVES, POST, source_vocab_size=U, tie_output=False)),
    (MARIAN, ours(WAVES, POST, share_embeddings=False, scale_embeddings=False)),
    (MARIAN, ours(WAVES, POST, tie_output=False, activation="gelu_tanh")),
    (PEGASUS, ours(WAVES, PRE)),
    (PEGASUS, ours(WAVES, PRE, share_embeddings=False)),
    (PEGASUS, ours(WAVES, PRE, tie_output=False, output_bias=True)),
    (PEGASUS, ours(WAVES, PRE, source_vocab_size=U)),
    (PEGASUS, ours(WAVES, PRE, source_vocab_size=V + 9, output_bias=True)),
    (MBART, ours(LEARNED, NORMED_PRE, source_vocab_size=V + 9)),
    (BART, ours(LEARNED, NORMED_POST, source_vocab_size=V + 9, tie_output=False)),
    (BLENDERBOT, ours(LEARNED, PRE, activation="silu", bias=False)),
    (BART, ours(LEARNED, NORMED_POST)),
    (BART, ours(LEARNED, NORMED_POST, tie_output=False, bias=False)),
    (MBART, ours(LEARNED, NORMED_PRE, share_embeddings=False, tie_output=False)),
    (T5, ours_t5()),
    (T5, ours_t5(activation="geglu", scale_embeddings=False)),
    (T5, ours_t5(activation="geglu_tanh", tie_output=False)),
    (T5, ours_t5(activation="swiglu", tie_output=False, scale_embeddings=False)),
]


def pair_of_texts(source_size: int) -> tuple[Tokens, Tensor]:
    """Sources of which the second ends in padding, and targets."""
    source, target = torch.randint(5, source_size, (2, 9)), torch.randint(5, U, (2, 7))
    segments = torch.ones_like(source)
    source[1, 6:] = segments[1, 6:] = 0
    return Tokens(source, segments), target


@torch.no_grad()
def worst(model: Any, other: Any) -> float:
    """The largest difference of the logits, relative to their spread."""
    source, target = pair_of_texts(model.source_embedding.tokens.num_embeddings)
    found = model.logits(model(Tokens(target), source))
    theirs = other(input_ids=source.ids, attention_mask=source.segments, decoder_input_ids=target).logits
    assert bool((theirs[..., model.config.vocab_size :] == -torch.inf).all())
    theirs = theirs[..., : model.config.vocab_size]
    return float((found - theirs).abs().max() / (theirs.max() - theirs.min()))


def name_of(case: Any) -> str:
    return case.name if isinstance(case, Family) else ""


def random_theirs(name: str, settings: dict[str, Any]) -> Any:
    config = getattr(transformers, name)(**settings)
    model = transformers.AutoModelForSeq2SeqLM.from_config(config).eval()
    tables = [each for key, each in model.named_parameters() if "embed_positions" in key]
    fixed = [table.clone() for table in tables if not table.requires_grad]
    roughen(model)
    with torch.no_grad():
        for table, rows in zip([each for each in tables if not each.requires_grad], fixed, strict=True):
            table.copy_(rows)  # sinusoids are no weights
        for buffer in model.buffers():
            buffer.copy_(torch.randn_like(buffer))  # final_logits_bias
    return model


@pytest.mark.parametrize(("family", "config_class", "settings"), THEIRS, ids=name_of)
def test_ours_computes_what_theirs_does_and_goes_back(
    family: Family, config_class: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    other = random_theirs(config_class, settings)
    saved, weights = written(other, tmp_path / "theirs")
    model = imported_pairs(family, saved, weights)
    assert worst(model, other) < 1e-5
    back = family.export_weights(model.config, weights_of(model))
    assert back.keys() - weights.keys() <= {"model.shared.weight"}
    for key, tensor in weights.items():
        if key != "model.shared.weight" or saved.get("tie_word_embeddings") is not False:  # else unused
            used = slice(2 if family in (BART, MBART) and "embed_positions" in key else 0, None)
            assert torch.allclose(back[key][used], tensor[used], rtol=1e-6, atol=1e-6), key
    settled = family.to_config(model.config)
    assert {key: saved[key] for key in settled.keys() & saved.keys()} == settled | {
        key: saved[key] for key in settled.keys() & saved.keys() if key.endswith("dropout")
    }


def imported_pairs(family: Family, settings: Any, weights: Any) -> Any:
    model = build(family.from_config(settings))
    load_weights(model, family.import_weights(model, weights))
    return model.eval()


@pytest.mark.parametrize(("family", "config"), OURS, ids=name_of)
def test_theirs_computes_what_ours_does_and_comes_back(
    family: Family, config: TransformerConfig, tmp_path: Path
) -> None:
    model = build(config).eval()
    roughen(model)
    other = exported(family, model, config, tmp_path)
    assert type(other).__name__ == family.class_name
    assert worst(model, other) < 1e-5
    settings = json.loads((tmp_path / "config.json").read_text("utf-8"))
    back = imported_pairs(family, settings, family.export_weights(config, weights_of(model)))
    assert worst(back, other) < 1e-5


def test_every_feed_forward_of_ours_has_a_name_that_is_read_back() -> None:
    assert {THEIR_FEED_FORWARDS[theirs] for theirs in FEED_FORWARDS.values()} == set(get_args(Activation))
    assert all(THEIR_FEED_FORWARDS[theirs] == name for name, theirs in FEED_FORWARDS.items())


@pytest.mark.parametrize(
    ("family", "change", "message"),
    [
        (MARIAN, {"decoder_ffn_dim": 25}, "encoder_ffn_dim = 24: decoder_ffn_dim must be the same"),
        (MARIAN, {"decoder_attention_heads": 2}, "encoder_attention_heads = 4: decoder_attention_heads must"),
        (MARIAN, {"model_type": "bart"}, "model_type = 'bart': a marian model is expected"),
        (MARIAN, {"normalize_before": True}, "normalize_before = True: marian is not so"),
        (BART, {"is_decoder": True}, "is_decoder = True: the model would be a decoder alone"),
        (BART, {"activation_function": "mish"}, "the activation 'mish' is not known here"),
        (PEGASUS, {"rotary": 1}, "rotary = 1 is not known for this family"),
        (T5, {"feed_forward_proj": "gated-mish"}, "feed_forward_proj = 'gated-mish' is not known here"),
        (T5, {"num_heads": None}, "num_heads is missing"),
        (T5, {"scalable_attention": True}, "scalable_attention = True is not known for this family"),
    ],
)
def test_settings_that_ours_cannot_hold_are_named(
    family: Family, change: dict[str, Any], message: str
) -> None:
    settings = {"model_type": family.name} | (T5_SIZES if family is T5 else BART_SIZES)
    family.from_config(settings)
    with pytest.raises(FolderError, match=message):
        family.from_config(settings | change)
