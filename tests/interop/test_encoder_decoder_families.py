"""Encoders and decoders of transformers, opened by its own classes: the same logits in both directions."""

from pathlib import Path
from typing import Any

import pytest
import torch

from headway.batch import Tokens
from headway.errors import FolderError
from headway.interop.families.bert import BERT
from headway.interop.families.eurobert import EUROBERT
from headway.interop.families.gpt2 import GPT2
from headway.interop.families.modernbert import MODERNBERT
from headway.interop.families.roformer import ROFORMER
from headway.interop.family import Family
from headway.interop.weights import weights_of
from headway.model.architectures import build
from headway.model.config import TransformerConfig
from tests.interop.cases import CASES, SIZES, Case, V, case_of, random_model
from tests.interop.theirs import (
    difference,
    exported,
    imported,
    our_logits,
    our_states,
    roughen,
    some_text,
    their_logits,
    their_states,
    written,
)

THEIRS = [
    pytest.param(case, changes, id=f"{case.family.name}: {name}")
    for case in CASES
    for name, changes in case.theirs.items()
]
OURS = [
    pytest.param(case, config, id=f"{case.family.name}: {name}")
    for case in CASES
    for name, config in case.ours.items()
]


@pytest.mark.parametrize(("case", "changes"), THEIRS)
def test_ours_computes_what_theirs_does_and_goes_back(
    case: Case, changes: dict[str, Any], tmp_path: Path
) -> None:
    theirs = random_model(case, changes)
    settings, weights = written(theirs, tmp_path)
    ours = imported(case.family, settings, weights)
    tokens = some_text(V)
    assert difference(our_logits(ours, tokens), their_logits(theirs, tokens), tokens) < 1e-5

    back = case.family.export_weights(ours.config, weights_of(ours))
    assert back.keys() == weights.keys()
    for name in weights.keys() - set(case.unused):
        torch.testing.assert_close(back[name], weights[name], rtol=0, atol=1e-6, msg=name)
    again = case.family.to_config(ours.config)
    assert {key: settings[key] for key in again if key in FUNCTION} == {
        key: again[key] for key in again if key in FUNCTION
    }


FUNCTION = {
    *SIZES,
    *("n_embd", "n_layer", "n_head", "n_positions", "ffn_dim", "num_key_value_heads", "head_dim"),
    *("hidden_act", "activation_function", "hidden_activation", "layer_norm_eps", "rms_norm_eps", "norm_eps"),
    *("tie_word_embeddings", "rope_parameters", "layer_types", "do_layer_norm_before", "decoder_bias"),
    *("attention_bias", "mlp_bias", "norm_bias", "classifier_bias", "enable_bias", "type_vocab_size"),
}
"""Settings that decide what is computed, by their names there."""


@pytest.mark.parametrize(("case", "config"), OURS)
def test_theirs_computes_what_ours_does_and_comes_back(
    case: Case, config: TransformerConfig, tmp_path: Path
) -> None:
    ours = build(config)
    roughen(ours)
    ours.eval()
    theirs = exported(case.family, ours, config, tmp_path / "theirs")
    tokens = some_text(V)
    before = our_logits(ours, tokens)  # type: ignore[arg-type]
    assert difference(before, their_logits(theirs, tokens), tokens) < 1e-5
    if config.architecture == "encoder":  # people embed text with the states
        assert difference(our_states(ours, tokens), their_states(theirs, tokens), tokens) < 1e-5  # type: ignore[arg-type]

    again = imported(case.family, *written(theirs, tmp_path / "again"))
    assert difference(our_logits(again, tokens), before, tokens) < 1e-5
    if not config.scale_embeddings and config.bias and config.positions.kind != "sinusoidal":
        weights = weights_of(again)
        for name, tensor in weights_of(ours).items():
            torch.testing.assert_close(weights[name], tensor, rtol=1e-6, atol=1e-6, msg=name)


DECODERS = [case for case in CASES if case.family.architecture == "decoder"]


@pytest.mark.parametrize("case", DECODERS, ids=[case.family.name for case in DECODERS])
def test_a_greedy_continuation_is_the_same_through_their_cache(case: Case, tmp_path: Path) -> None:
    config = next(iter(case.ours.values()))
    ours = build(config)
    roughen(ours)
    theirs = exported(case.family, ours.eval(), config, tmp_path)
    start = torch.tensor([[7, 8, 9]])
    found = theirs.generate(start, max_new_tokens=8, do_sample=False, eos_token_id=None, use_cache=True)
    ids = start
    for _ in range(8):
        hidden = ours(Tokens(ids, None))
        ids = torch.cat((ids, ours.logits(hidden[:, -1:]).argmax(-1)), dim=1)
    assert found.tolist() == ids.tolist()


@pytest.mark.parametrize("family", [BERT, ROFORMER, MODERNBERT], ids=lambda family: family.name)
def test_an_encoder_without_a_head_comes_and_goes_without_one(family: Family, tmp_path: Path) -> None:
    case, bare = case_of(family), family.bare_name
    theirs = random_model(case, next(iter(case.theirs.values())), bare)
    settings, weights = written(theirs, tmp_path / "theirs")
    ours, tokens = imported(family, settings, weights), some_text(V)
    assert difference(our_states(ours, tokens), their_states(theirs, tokens), tokens) < 1e-5

    again = exported(family, ours, ours.config, tmp_path / "again")
    assert type(again).__name__ == bare
    assert difference(their_states(again, tokens), their_states(theirs, tokens), tokens) < 1e-5
    back = family.export_weights(ours.config, weights_of(ours))
    assert back.keys() == weights.keys()
    unused = ("token_type_embeddings", "pooler")
    for name in weights:
        if not any(part in name for part in unused):
            torch.testing.assert_close(back[name], weights[name], rtol=0, atol=1e-6, msg=name)
    assert imported(family, *written(again, tmp_path / "third")).config == ours.config


def test_the_first_token_type_of_a_bert_is_added_to_its_positions(tmp_path: Path) -> None:
    theirs = random_model(case_of(BERT), {}, "BertModel")
    theirs.embeddings.token_type_embeddings.weight.data.normal_()
    ours, tokens = imported(BERT, *written(theirs, tmp_path / "theirs")), some_text(V)
    again = exported(BERT, ours, ours.config, tmp_path / "again")
    for model in (theirs, again):
        assert difference(our_states(ours, tokens), their_states(model, tokens), tokens) < 1e-5


def test_a_eurobert_without_a_head_gets_that_of_its_embeddings(tmp_path: Path) -> None:
    theirs = random_model(case_of(EUROBERT), {}, "EuroBertModel")
    ours, tokens = imported(EUROBERT, *written(theirs, tmp_path / "theirs")), some_text(V)
    again = exported(EUROBERT, ours, ours.config, tmp_path / "again")
    for model in (theirs, again):
        assert difference(our_states(ours, tokens), their_states(model, tokens), tokens) < 1e-5


def test_token_types_of_a_family_without_a_place_for_them_are_refused(tmp_path: Path) -> None:
    case = case_of(ROFORMER)
    theirs = random_model(case, {})
    theirs.roformer.embeddings.token_type_embeddings.weight.data.fill_(0.1)
    with pytest.raises(FolderError, match=r"token_type_embeddings\.weight' adds a vector to every"):
        imported(ROFORMER, *written(theirs, tmp_path))


def test_names_of_gpt2_without_the_prefix_are_known_too(tmp_path: Path) -> None:
    case = case_of(GPT2)
    settings, weights = written(random_model(case, {}), tmp_path)
    short = {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}
    short["h.0.attn.bias"] = torch.ones(1, 1, 20, 20)
    ours, same = imported(GPT2, settings, weights), imported(GPT2, settings, short)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), same.parameters(), strict=True))
