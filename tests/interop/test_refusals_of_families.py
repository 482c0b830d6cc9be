"""What encoders and decoders of transformers are that ours cannot be, and the other way round, by name."""

import json
from dataclasses import replace
from typing import Any

import pytest

from headway.errors import FolderError
from headway.interop.families.bert import BERT
from headway.interop.families.eurobert import EUROBERT
from headway.interop.families.gpt2 import GPT2
from headway.interop.families.gpt_neox import GPT_NEOX
from headway.interop.families.llama import LLAMA
from headway.interop.families.modernbert import MODERNBERT
from headway.interop.families.opt import OPT
from headway.interop.families.qwen3 import QWEN3
from headway.interop.families.roformer import ROFORMER
from headway.interop.family import Family
from headway.model.config import TransformerConfig
from tests.interop.cases import GPT2_OURS, GROUPED, LLAMA_OURS, case_of, decoder, encoder

REFUSED: list[tuple[Family, dict[str, Any], str]] = [
    (BERT, {"hidden_act": "tanh"}, "activation 'tanh' is not known"),
    (BERT, {"is_decoder": True}, "is_decoder = True"),
    (BERT, {"type_vocab_size": 3}, "type_vocab_size = 3"),
    (BERT, {"position_embedding_type": "relative_key"}, "position_embedding_type = 'relative_key'"),
    (BERT, {"architectures": ["BertForSequenceClassification"]}, "architectures = .*does not predict words"),
    (BERT, {"model_type": "albert"}, "model_type = 'albert'"),
    (BERT, {"hidden_size": None}, "hidden_size is missing"),
    (BERT, {"hidden_size": "16"}, "hidden_size = '16' is of the wrong type"),
    (BERT, {"new_thing": 1}, "new_thing = 1 is not known"),
    (ROFORMER, {"rotary_value": True}, "rotary_value = True"),
    (ROFORMER, {"embedding_size": 8}, "embedding_size = 8"),
    (EUROBERT, {"mlp_bias": True}, "mlp_bias = True: .*everywhere or nowhere"),
    (MODERNBERT, {"norm_bias": True}, "norm_bias = True: .*everywhere or nowhere"),
    (MODERNBERT, {"classifier_activation": "relu"}, "classifier_activation = 'relu'"),
    (MODERNBERT, {"layer_types": ["sliding_attention", "full_attention", "full_attention"]}, "layer_types"),
    (
        MODERNBERT,
        {"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 1e4}}},
        r"rope_parameters\.full_attention\.rope_type = 'yarn'",
    ),
    (GPT2, {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx = True"),
    (GPT2, {"scale_attn_weights": False}, "scale_attn_weights = False"),
    (GPT2, {"add_cross_attention": True}, "add_cross_attention = True"),
    (OPT, {"word_embed_proj_dim": 8}, "word_embed_proj_dim = 8"),
    (OPT, {"layer_norm_elementwise_affine": False}, "layer_norm_elementwise_affine = False"),
    (OPT, {"_remove_final_layer_norm": True}, "_remove_final_layer_norm = True"),
    (GPT_NEOX, {"use_parallel_residual": True}, "use_parallel_residual = True"),
    (GPT_NEOX, {"rope_parameters": None}, "rotary_pct = 0.25: .*whole heads"),
    (GPT_NEOX, {"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor = 0.5: .*whole"),
    (LLAMA, {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "rope_type = 'linear': .*never scaled"),
    (LLAMA, {"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, "rope_type = 'llama3'"),
    (LLAMA, {"attention_bias": True}, "mlp_bias = False: .*everywhere or nowhere"),
    (LLAMA, {"hidden_act": "relu"}, "'relu' of a gate is not known"),
    (QWEN3, {"use_sliding_window": True}, "use_sliding_window = True"),
    (QWEN3, {"layer_types": ["full_attention", "sliding_attention"]}, "layer_types = .*local"),
    (QWEN3, {"attention_bias": True}, "attention_bias = True"),
]


@pytest.mark.parametrize(
    ("family", "changes", "message"), REFUSED, ids=[f"{f.name}: {next(iter(c))}" for f, c, _ in REFUSED]
)
def test_settings_that_ours_cannot_hold_are_refused_by_name(
    family: Family, changes: dict[str, Any], message: str
) -> None:
    config = next(iter(case_of(family).ours.values()))
    settings = {"architectures": [family.class_name], "model_type": family.name, **family.to_config(config)}
    assert json.loads(json.dumps(settings)) == settings
    assert family.from_config(settings) == replace(config, dropout=family.from_config(settings).dropout)
    with pytest.raises(FolderError, match=message):
        family.from_config(settings | changes)


BROKEN: list[tuple[Family, TransformerConfig, list[str]]] = [
    (BERT, encoder(), ["model.norm.embedding=true", "model.output_transform=true"]),
    (LLAMA, decoder(), ["model.norm.position=pre", "model.norm.kind=rms", "model.positions.kind=rotary"]),
    (LLAMA, decoder(**LLAMA_OURS, output_bias=True), ["model.output_bias=false"]),
    (
        GPT2,
        decoder(**GPT2_OURS, attention={"window": 4}),
        ["model.attention.window=none model.attention.global_every=none"],
    ),
    (QWEN3, decoder(**LLAMA_OURS), ["model.attention.normalize=true"]),
    (EUROBERT, encoder(**LLAMA_OURS, output_bias=True), ["model.output_bias=false"]),
    (OPT, decoder(**GPT2_OURS, attention=GROUPED), ["model.attention.num_kv_heads=none"]),
]


@pytest.mark.parametrize(("family", "config", "changes"), BROKEN, ids=[f.name for f, _, _ in BROKEN])
def test_a_model_that_a_family_cannot_hold_is_told_what_to_change(
    family: Family, config: TransformerConfig, changes: list[str]
) -> None:
    found = [rule.change for rule in family.broken(config)]
    assert set(changes) <= set(found)
