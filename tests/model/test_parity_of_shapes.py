"""What each newer kind of attention adds, beside the models of transformers that are known for it."""

import math
from typing import Any

import torch
import transformers
from torch import nn

from headway.config import from_table
from headway.model.config import TransformerConfig
from headway.model.presets import merged, preset

from .shapes import causal, encoder_decoder, masked, outputs, text
from .test_parity import LONGEST, Names, V, assert_equal, attention_names, give, layered

SIZES = {"vocab_size": V, "d_model": 32, "d_ff": 48}


def tiny(name: str, **changes: Any) -> TransformerConfig:
    """A preset with few and small layers."""
    return from_table(TransformerConfig, merged(preset(name), {**SIZES, **changes}))


def joined(ours: nn.Module, name: str, *parts: str) -> None:
    """Replace several linear layers by one, of their rows one under the other."""
    linear = [ours.get_submodule(part) for part in parts]
    joint = nn.Module()
    joint.weight = nn.Parameter(torch.cat([part.weight for part in linear]))
    for part in parts:
        delattr(ours, part)
    ours.add_module(name, joint)


def test_normalized_heads_equal_those_of_qwen3() -> None:
    heads = {"num_heads": 4, "num_kv_heads": 2, "d_key": 12, "d_value": 12}
    config = tiny("qwen3", decoder_layers=2, attention=heads, norm={"epsilon": 1e-3})
    ours = causal(config)
    theirs = transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=V,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=12,
            rms_norm_eps=1e-3,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
            tie_word_embeddings=True,
        )
    ).eval()
    parts = {
        **attention_names("self_attn", "self_attention"),
        "self_attn.q_norm": "self_attention.query_norm",
        "self_attn.k_norm": "self_attention.key_norm",
        "mlp.gate_proj": "feed_forward.gate",
        "mlp.up_proj": "feed_forward.inner",
        "mlp.down_proj": "feed_forward.output",
        "input_layernorm": "self_residual.norm",
        "post_attention_layernorm": "feed_forward_residual.norm",
    }
    names = {"model.embed_tokens": "embedding.tokens", "model.norm": "decoder.norm"}
    give(theirs, names | layered(2, "model.layers", "decoder", parts), ours)
    inputs = text(3, 9, [9, 5, 1])
    assert inputs.segments is not None
    with torch.no_grad():
        found = theirs(input_ids=inputs.ids, attention_mask=inputs.segments, use_cache=False).logits
    real = inputs.segments == 1
    assert_equal(outputs(ours, inputs)[real], found[real])


def test_alternating_windows_equal_those_of_modernbert() -> None:
    attention = {"num_heads": 4, "window": 3, "global_every": 3}
    ours = masked(tiny("modernbert", encoder_layers=4, attention=attention))
    inputs = text(3, 20, [20, 12, 5])
    assert inputs.segments is not None
    expected = outputs(ours, inputs)
    theirs = transformers.ModernBertForMaskedLM(
        transformers.ModernBertConfig(
            vocab_size=V,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=4,
            num_attention_heads=4,
            local_attention=6,  # to both sides together
            global_attn_every_n_layers=3,
            max_position_embeddings=LONGEST,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
            cls_token_id=2,
            sep_token_id=3,
        )
    ).eval()
    for layer in ours.encoder.layers:
        joined(layer.self_attention, "joint", "query", "key", "value")
        joined(layer.feed_forward, "joint", "gate", "inner")
    parts = {
        "attn.Wqkv": "self_attention.joint",
        "attn.Wo": "self_attention.output",
        "attn_norm": "self_residual.norm",
        "mlp.Wi": "feed_forward.joint",
        "mlp.Wo": "feed_forward.output",
        "mlp_norm": "feed_forward_residual.norm",
    }
    names = {
        "model.embeddings.tok_embeddings": "embedding.tokens",
        "model.embeddings.norm": "embedding.norm",
        "model.final_norm": "encoder.norm",
        "head.dense": "transform.dense",
        "head.norm": "transform.norm",
        "decoder": "output",
    }
    give(theirs, names | layered(4, "model.layers", "encoder", parts), ours)
    with torch.no_grad():
        found = theirs(input_ids=inputs.ids, attention_mask=inputs.segments).logits
    real = inputs.segments == 1
    assert_equal(expected[real], found[real])


def test_the_prediction_head_equals_that_of_bert() -> None:
    """All texts are first texts, whose vector theirs adds: zero here."""
    config = tiny("bert", encoder_layers=2, attention={"num_heads": 4}, positions={"max_length": LONGEST})
    ours = masked(config)
    theirs = transformers.BertForMaskedLM(
        transformers.BertConfig(
            vocab_size=V,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=LONGEST,
        )
    ).eval()
    first_or_second = theirs.bert.embeddings.token_type_embeddings
    zeros = torch.zeros_like(first_or_second.weight)
    del first_or_second._parameters["weight"]
    first_or_second.register_buffer("weight", zeros)
    parts = {
        "attention.self.query": "self_attention.query",
        "attention.self.key": "self_attention.key",
        "attention.self.value": "self_attention.value",
        "attention.output.dense": "self_attention.output",
        "attention.output.LayerNorm": "self_residual.norm",
        "intermediate.dense": "feed_forward.inner",
        "output.dense": "feed_forward.output",
        "output.LayerNorm": "feed_forward_residual.norm",
    }
    names = {
        "bert.embeddings.word_embeddings": "embedding.tokens",
        "bert.embeddings.position_embeddings": "embedding.positions.table",
        "bert.embeddings.LayerNorm": "embedding.norm",
        "cls.predictions.transform.dense": "transform.dense",
        "cls.predictions.transform.LayerNorm": "transform.norm",
        "cls.predictions": "output",  # its bias
    }
    give(theirs, names | layered(2, "bert.encoder.layer", "encoder", parts), ours)
    inputs = text(3, 9, [9, 5, 1])
    assert inputs.segments is not None
    with torch.no_grad():
        found = theirs(input_ids=inputs.ids, attention_mask=inputs.segments).logits
    real = inputs.segments == 1
    assert_equal(outputs(ours, inputs)[real], found[real])


def t5_names(stack: str, layers: int, *, sees_memory: bool) -> Names:
    """Of one stack of T5, whose sub-layers are numbered."""
    last = 2 if sees_memory else 1
    parts = {
        "layer.0.layer_norm": "self_residual.norm",
        f"layer.{last}.layer_norm": "feed_forward_residual.norm",
        f"layer.{last}.DenseReluDense.wi_0": "feed_forward.gate",
        f"layer.{last}.DenseReluDense.wi_1": "feed_forward.inner",
        f"layer.{last}.DenseReluDense.wo": "feed_forward.output",
    }
    seen = {"layer.0.SelfAttention": "self_attention"}
    if sees_memory:
        seen["layer.1.EncDecAttention"] = "memory_attention"
        parts["layer.1.layer_norm"] = "memory_residual.norm"
    for theirs, ours in seen.items():
        own = {"q": "query", "k": "key", "v": "value", "o": "output"}
        parts |= {f"{theirs}.{letter}": f"{ours}.{name}" for letter, name in own.items()}
    return {
        **layered(layers, f"{stack}.block", stack, parts),
        f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias": f"{stack}.relative.table",
        f"{stack}.final_layer_norm": f"{stack}.norm",
    }


def test_relative_positions_and_gated_gelu_equal_those_of_t5() -> None:
    """With the gated feed-forward networks of its version 1.1."""
    config = tiny(
        "t5",
        encoder_layers=2,
        decoder_layers=3,
        activation="geglu_tanh",
        attention={"num_heads": 4, "d_key": 12, "d_value": 12},
        positions={"buckets": 8, "max_distance": 12},
    )
    ours = encoder_decoder(config)
    theirs = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=V,
            d_model=32,
            d_kv=12,
            d_ff=48,
            num_layers=2,
            num_decoder_layers=3,
            num_heads=4,
            relative_attention_num_buckets=8,
            relative_attention_max_distance=12,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,  # in their words: do not divide the output by √d_model
            pad_token_id=0,
            decoder_start_token_id=2,
        )
    ).eval()
    names = {"shared": "embedding.tokens"}
    names |= t5_names("encoder", 2, sees_memory=False) | t5_names("decoder", 3, sees_memory=True)
    give(theirs, names, ours)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name.endswith("Attention.q.weight"):
                parameter /= math.sqrt(12)  # they divide no score
    inputs, source = text(3, 16), text(3, 20, [20, 9, 3])
    with torch.no_grad():
        found = theirs(
            input_ids=source.ids,
            attention_mask=source.segments,
            decoder_input_ids=inputs.ids,
            use_cache=False,
        ).logits
    assert_equal(outputs(ours, inputs, source), found)
