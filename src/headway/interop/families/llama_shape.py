"""What Llama, Qwen3 and EuroBERT have in common: names of layers and of settings."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from headway.interop.families.parts import (
    GATED,
    GATES,
    embeddings,
    our_gated_activation,
    read_rope,
    rope_parameters,
    where_biased,
    without_prefix,
)
from headway.interop.family import Reader, Rule, Settings
from headway.interop.rules import (
    EQUAL_SIZES,
    FIRST_NORM,
    NO_EMBEDDING_NORM,
    NO_TRANSFORM,
    NO_WINDOW,
    PRE_NORM,
    RMS_NORM,
    ROTARY,
)
from headway.interop.weights import Entry, filled, ignored, same
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig

COMMON_RULES: tuple[Rule, ...] = (
    PRE_NORM,
    RMS_NORM,
    FIRST_NORM,
    NO_EMBEDDING_NORM,
    ROTARY,
    GATED,
    EQUAL_SIZES,
    NO_WINDOW,
    NO_TRANSFORM,
)

PROJECTIONS = {
    "self_attn.q_proj": "self_attention.query",
    "self_attn.k_proj": "self_attention.key",
    "self_attn.v_proj": "self_attention.value",
    "self_attn.o_proj": "self_attention.output",
    "mlp.gate_proj": "feed_forward.gate",
    "mlp.up_proj": "feed_forward.inner",
    "mlp.down_proj": "feed_forward.output",
}
NORMS = {"input_layernorm": "self_residual.norm", "post_attention_layernorm": "feed_forward_residual.norm"}
HEAD_NORMS = {"self_attn.q_norm": "self_attention.query_norm", "self_attn.k_norm": "self_attention.key_norm"}
EVERYWHERE_OR_NOWHERE = "here linear layers have biases everywhere or nowhere"


@dataclass(frozen=True)
class LlamaShape:
    """One of the three: where they differ."""

    name: str
    stack: Literal["encoder", "decoder"]
    query_norm: bool = False
    biases: bool = True
    """Whether all linear layers may have biases."""
    output_bias: bool = False
    """Whether the output projection has a bias where the other linear layers have."""
    epsilon: float = 1e-6
    """Of norms, where the settings do not name it."""

    def to_config(self, config: TransformerConfig) -> Settings:
        settings: Settings = {
            "vocab_size": config.vocab_size,
            "hidden_size": config.d_model,
            "intermediate_size": config.d_ff,
            "num_hidden_layers": config.encoder_layers + config.decoder_layers,
            "num_attention_heads": config.attention.num_heads,
            "num_key_value_heads": config.num_kv_heads,
            "head_dim": config.d_key,
            "hidden_act": GATES[config.activation],
            "max_position_embeddings": config.positions.max_length,
            "rms_norm_eps": config.norm.epsilon,
            "tie_word_embeddings": config.tie_output,
            "rope_parameters": rope_parameters(config.positions.base),
            "attention_bias": config.bias,
            "attention_dropout": 0.0,
        }
        return settings | ({"mlp_bias": config.bias} if self.biases else {})

    def extra(self, config: TransformerConfig) -> Settings:
        """Where programs of before look for the base of rotary positions."""
        return {"rope_theta": config.positions.base}

    def from_config(self, settings: Settings) -> TransformerConfig:
        read = Reader(settings)
        read.need("model_type", [self.name], self.name, f"a {self.name} model is expected")
        read.ignore("pretraining_tp")
        d_model, heads = read.take("hidden_size", int), read.take("num_attention_heads", int)
        usual = d_model // heads
        layers, size = read.take("num_hidden_layers", int), read.take("head_dim", int, usual)
        kv_heads, bias = read.take("num_key_value_heads", int, heads), self._bias(read)
        self._refuse_windows(read)
        config = TransformerConfig(
            vocab_size=read.take("vocab_size", int),
            encoder_layers=layers if self.stack == "encoder" else 0,
            decoder_layers=layers if self.stack == "decoder" else 0,
            d_model=d_model,
            d_ff=read.take("intermediate_size", int),
            activation=our_gated_activation(read.take("hidden_act", str, "silu")),
            bias=bias,
            dropout=0.0,
            tie_output=read.take("tie_word_embeddings", bool, False),
            output_bias=bias and self.output_bias,
            scale_embeddings=False,
            attention=AttentionConfig(
                num_heads=heads,
                num_kv_heads=None if kv_heads == heads else kv_heads,
                d_key=None if size == usual else size,
                d_value=None if size == usual else size,
                normalize=self.query_norm,
            ),
            norm=NormConfig(
                kind="rms", position="pre", epsilon=read.take("rms_norm_eps", float, self.epsilon)
            ),
            positions=PositionConfig(
                kind="rotary",
                max_length=read.take("max_position_embeddings", int),
                base=read_rope(read, settings),
            ),
        )
        read.finish()
        return config

    def _bias(self, read: Reader) -> bool:
        if not self.biases:
            return bool(read.need("attention_bias", [False], False, EVERYWHERE_OR_NOWHERE))
        bias = read.take("attention_bias", bool, False)
        return bool(read.need("mlp_bias", [bias], False, EVERYWHERE_OR_NOWHERE))

    def _refuse_windows(self, read: Reader) -> None:
        reason = "here local and global layers alternate otherwise"
        read.need("use_sliding_window", [False], False, reason)
        read.ignore("sliding_window", "max_window_layers")
        for kind in read.take("layer_types", list, []):
            if kind != "full_attention":
                read.need("layer_types", [], None, reason)

    def entries(self, config: TransformerConfig) -> list[Entry]:
        found = [
            *embeddings("model.embed_tokens.weight", "lm_head.weight", config),
            *self._output_bias(config),
            same("model.norm.weight", f"{self.stack}.norm.weight"),
            *(entry for i in range(self._layers(config)) for entry in self._layer(i, config)),
        ]
        return without_prefix(found, "model.")

    def _layers(self, config: TransformerConfig) -> int:
        return config.encoder_layers + config.decoder_layers

    def _output_bias(self, config: TransformerConfig) -> Iterable[Entry]:
        if config.output_bias:
            yield same("lm_head.bias", "output.bias")
        elif self.output_bias and config.bias:
            yield filled("lm_head.bias", (config.vocab_size,), 0.0)

    def _layer(self, number: int, config: TransformerConfig) -> Iterable[Entry]:
        there, here = f"model.layers.{number}", f"{self.stack}.layers.{number}"
        for theirs, ours in PROJECTIONS.items():
            yield from where_biased(f"{there}.{theirs}", f"{here}.{ours}", config.bias)
        for theirs, ours in (NORMS | HEAD_NORMS if self.query_norm else NORMS).items():
            yield same(f"{there}.{theirs}.weight", f"{here}.{ours}.weight")
        yield ignored(f"{there}.self_attn.rotary_emb.inv_freq")
