"""Independent implementations with our weights give our logits."""

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from headway.batch import Tokens
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.model.positions import SinusoidalPositions, positions_of

from .shapes import assert_near, causal, encoder_decoder, masked, outputs, text

V, LONGEST = 29, 24
"""The vocabulary of `text`, and more positions than any text here has."""

Names = dict[str, str]
"""Our parameter's name, or the stem of it, by theirs."""


def assert_equal(ours: Tensor, theirs: Tensor) -> None:
    """Logits equal to 1e-5, whatever their size."""
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def give(theirs: nn.Module, names: Names, ours: nn.Module, transposed: tuple[str, ...] = ()) -> None:
    """Copy our weights into every parameter of theirs; none may be left out on either side."""
    own = dict(ours.named_parameters())
    used = set()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            stem, kind = name.rsplit(".", 1)
            key = f"{names[stem]}.{kind}"
            weight = own[key].T if stem.endswith(transposed) and kind == "weight" else own[key]
            parameter.copy_(weight)
            used.add(key)
    assert used == set(own), "a weight of ours has no counterpart"


def layered(layers: int, place: str, ours: str, parts: Names) -> Names:
    """Names of the same parts in each layer."""
    return {
        f"{place}.{i}.{their}": f"{ours}.layers.{i}.{our}"
        for i in range(layers)
        for their, our in parts.items()
    }


def attention_names(theirs: str, ours: str, output: str = "o_proj") -> Names:
    return {
        f"{theirs}.q_proj": f"{ours}.query",
        f"{theirs}.k_proj": f"{ours}.key",
        f"{theirs}.v_proj": f"{ours}.value",
        f"{theirs}.{output}": f"{ours}.output",
    }


FEED_FORWARD = {"fc1": "feed_forward.inner", "fc2": "feed_forward.output"}
"""Marian's."""


def test_encoder_decoder_equals_marian() -> None:
    config = TransformerConfig(
        vocab_size=V,
        encoder_layers=2,
        decoder_layers=3,
        d_model=32,
        d_ff=48,
        attention=AttentionConfig(num_heads=4),
    )
    ours = encoder_decoder(config)
    theirs = transformers.MarianMTModel(
        transformers.MarianConfig(
            vocab_size=V,
            encoder_layers=2,
            decoder_layers=3,
            d_model=32,
            encoder_ffn_dim=48,
            decoder_ffn_dim=48,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            activation_function="relu",
            scale_embedding=True,
            max_position_embeddings=LONGEST,
            pad_token_id=0,
            eos_token_id=3,
            decoder_start_token_id=2,
        )
    ).eval()
    own = {**attention_names("self_attn", "self_attention", "out_proj"), **FEED_FORWARD}
    encoder = {
        **own,
        "self_attn_layer_norm": "self_residual.norm",
        "final_layer_norm": "feed_forward_residual.norm",
    }
    decoder = {
        **encoder,
        **attention_names("encoder_attn", "memory_attention", "out_proj"),
        "encoder_attn_layer_norm": "memory_residual.norm",
    }
    waves = SinusoidalPositions(32, 10000.0).rows(LONGEST)
    for stack in (theirs.model.encoder, theirs.model.decoder):  # theirs: all sines, then all cosines
        places = stack.embed_positions.weight
        assert_near(places, torch.cat((waves[:, ::2], waves[:, 1::2]), dim=-1))
        places.data.copy_(waves)
        # a computed table is no weight of theirs or ours
        del stack.embed_positions._parameters["weight"]
        stack.embed_positions.register_buffer("weight", waves)
    names = {"model.shared": "embedding.tokens"}
    names |= layered(2, "model.encoder.layers", "encoder", encoder)
    names |= layered(3, "model.decoder.layers", "decoder", decoder)
    give(theirs, names, ours)
    assert theirs.lm_head.weight is theirs.model.shared.weight

    inputs, source = text(3, 8), text(3, 10, [10, 4, 7])
    with torch.no_grad():
        found = theirs(
            input_ids=source.ids,
            attention_mask=source.segments,
            decoder_input_ids=inputs.ids,
            use_cache=False,
        ).logits
    assert_equal(outputs(ours, Tokens(inputs.ids), source), found)
    with torch.no_grad():
        found = theirs(input_ids=source.ids, decoder_input_ids=inputs.ids, use_cache=False).logits
    assert_equal(outputs(ours, inputs, Tokens(source.ids)), found)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("d_key", [None, 12])
def test_causal_model_equals_llama(kv_heads: int, d_key: int | None) -> None:
    config = TransformerConfig(
        vocab_size=V,
        encoder_layers=0,
        decoder_layers=2,
        d_model=32,
        d_ff=48,
        activation="swiglu",
        bias=False,
        tie_output=False,
        scale_embeddings=False,
        attention=AttentionConfig(num_heads=4, num_kv_heads=kv_heads, d_key=d_key, d_value=d_key),
        norm=NormConfig(kind="rms", position="pre", epsilon=1e-4),
        positions=PositionConfig(kind="rotary", base=5000.0),
    )
    ours = causal(config)
    theirs = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=V,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=kv_heads,
            head_dim=config.d_key,
            rms_norm_eps=1e-4,
            rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
            max_position_embeddings=LONGEST,
            tie_word_embeddings=False,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
        )
    ).eval()
    parts = {
        **attention_names("self_attn", "self_attention"),
        "mlp.gate_proj": "feed_forward.gate",
        "mlp.up_proj": "feed_forward.inner",
        "mlp.down_proj": "feed_forward.output",
        "input_layernorm": "self_residual.norm",
        "post_attention_layernorm": "feed_forward_residual.norm",
    }
    names = {"model.embed_tokens": "embedding.tokens", "model.norm": "decoder.norm", "lm_head": "output"}
    give(theirs, names | layered(2, "model.layers", "decoder", parts), ours)
    inputs = text(3, 9, [9, 5, 1])
    assert inputs.segments is not None
    with torch.no_grad():
        found = theirs(input_ids=inputs.ids, attention_mask=inputs.segments, use_cache=False).logits
    real = inputs.segments == 1
    assert_equal(outputs(ours, inputs)[real], found[real])


def gpt2_attention(ours: nn.Module) -> nn.Module:
    """Our three projections as the one of GPT-2: queries, keys and values side by side."""
    joint = nn.Module()
    parts = [ours.get_submodule(name) for name in ("query", "key", "value")]
    joint.weight = nn.Parameter(torch.cat([part.weight for part in parts]))
    joint.bias = nn.Parameter(torch.cat([part.bias for part in parts]))
    return joint


def test_causal_model_equals_gpt2() -> None:
    config = TransformerConfig(
        vocab_size=V,
        encoder_layers=0,
        decoder_layers=2,
        d_model=32,
        d_ff=48,
        activation="gelu",
        scale_embeddings=False,
        attention=AttentionConfig(num_heads=4),
        norm=NormConfig(position="pre"),
        positions=PositionConfig(kind="learned", max_length=LONGEST),
    )
    ours = causal(config)
    inputs = text(3, 9)
    expected = outputs(ours, Tokens(inputs.ids))
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=V,
            n_positions=LONGEST,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_inner=48,
            activation_function="gelu",
            bos_token_id=2,
            eos_token_id=3,
        )
    ).eval()
    for layer in ours.decoder.layers:
        attention = layer.self_attention
        attention.joint = gpt2_attention(attention)
        del attention.query, attention.key, attention.value
    parts = {
        "attn.c_attn": "self_attention.joint",
        "attn.c_proj": "self_attention.output",
        "mlp.c_fc": "feed_forward.inner",
        "mlp.c_proj": "feed_forward.output",
        "ln_1": "self_residual.norm",
        "ln_2": "feed_forward_residual.norm",
    }
    names = {
        "transformer.wte": "embedding.tokens",
        "transformer.wpe": "embedding.positions.table",
        "transformer.ln_f": "decoder.norm",
    }
    names |= layered(2, "transformer.h", "decoder", parts)
    give(theirs, names, ours, transposed=("c_attn", "c_proj", "c_fc"))
    assert theirs.lm_head.weight is theirs.transformer.wte.weight
    with torch.no_grad():
        assert_equal(expected, theirs(input_ids=inputs.ids, use_cache=False).logits)


def into_torch(layer: Any, theirs: nn.TransformerEncoderLayer) -> None:
    """Our layer's weights in torch's."""
    attention = layer.self_attention
    projections = (attention.query, attention.key, attention.value)

    def both(target: nn.Module, source: nn.Module) -> None:
        target.load_state_dict(source.state_dict())

    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in projections]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([part.bias for part in projections]))
    both(theirs.self_attn.out_proj, attention.output)
    both(theirs.linear1, layer.feed_forward.inner)
    both(theirs.linear2, layer.feed_forward.output)
    both(theirs.norm1, layer.self_residual.norm)
    both(theirs.norm2, layer.feed_forward_residual.norm)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("position", ["post", "pre"])
def test_encoder_equals_the_one_of_torch(position: Any, activation: Any) -> None:
    config = TransformerConfig(
        vocab_size=V,
        encoder_layers=2,
        decoder_layers=0,
        d_model=32,
        d_ff=48,
        activation=activation,
        attention=AttentionConfig(num_heads=4),
        norm=NormConfig(position=position),
    )
    ours = masked(config)
    layer = nn.TransformerEncoderLayer(
        32, 4, 48, activation=activation, batch_first=True, norm_first=position == "pre", dropout=0.0
    )
    final = nn.LayerNorm(32) if position == "pre" else None
    theirs = nn.TransformerEncoder(layer, 2, norm=final, enable_nested_tensor=False).eval()
    for own, other in zip(ours.encoder.layers, theirs.layers, strict=True):
        into_torch(own, other)
    if final is not None:
        assert theirs.norm is not None
        theirs.norm.load_state_dict(ours.encoder.norm.state_dict())
    inputs = text(3, 9, [9, 5, 1])
    assert inputs.segments is not None
    real: Tensor = inputs.segments == 1
    with torch.no_grad():
        embedded = ours.embedding(inputs.ids, positions_of(inputs))
        found = ours.logits(theirs(embedded, src_key_padding_mask=~real))
    assert_equal(outputs(ours, inputs)[real], found[real])
