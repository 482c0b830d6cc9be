"""What BERT and RoFormer have in common: names of layers and of settings.

Saved without a prediction head (BertModel) such a model makes vectors of texts. Here it is an encoder whose
predictions come from its token embeddings alone, and it goes back as it came.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from headway.interop.families.parts import affine, embeddings
from headway.interop.family import ACTIVATION_NAMES, Reader, Rule, Settings, is_bare, our_activation
from headway.interop.rules import EMBEDDING_NORM, PLAIN_LAYERS, POST_NORM
from headway.interop.weights import Entry, filled, ignored, same, unread
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig


def _has_its_head_or_none(config: TransformerConfig) -> bool:
    return config.output_transform or is_bare(config)


TRANSFORM = Rule(
    _has_its_head_or_none,
    "its prediction head has a layer of its own before the output projection",
    "model.output_transform=true",
)
COMMON_RULES: tuple[Rule, ...] = (POST_NORM, EMBEDDING_NORM, *PLAIN_LAYERS, TRANSFORM)

LAYER = {
    "attention.self.query": "self_attention.query",
    "attention.self.key": "self_attention.key",
    "attention.self.value": "self_attention.value",
    "attention.output.dense": "self_attention.output",
    "attention.output.LayerNorm": "self_residual.norm",
    "intermediate.dense": "feed_forward.inner",
    "output.dense": "feed_forward.output",
    "output.LayerNorm": "feed_forward_residual.norm",
}
POOLER = "pooler.dense"
"""Another vector of a text, which its states do not depend on."""

TOKEN_TYPES = 2


@dataclass(frozen=True)
class BertShape:
    """One of the two: where they differ."""

    name: str
    class_name: str
    positions: PositionConfig
    place: Callable[[str, TransformerConfig], Iterable[Entry]]
    """Tensors of the positions and the token types, after a prefix."""
    pooled: bool = False
    """Whether the class without a prediction head looks for a pooler."""

    @property
    def bare_name(self) -> str:
        """The class without a prediction head."""
        return self.class_name.replace("ForMaskedLM", "Model")

    def to_config(self, config: TransformerConfig) -> Settings:
        return {
            "vocab_size": config.vocab_size,
            "hidden_size": config.d_model,
            "num_hidden_layers": config.encoder_layers,
            "num_attention_heads": config.attention.num_heads,
            "intermediate_size": config.d_ff,
            "hidden_act": ACTIVATION_NAMES[config.activation],
            "hidden_dropout_prob": config.dropout,
            "attention_probs_dropout_prob": 0.0,
            "max_position_embeddings": config.positions.max_length,
            "type_vocab_size": TOKEN_TYPES,
            "layer_norm_eps": config.norm.epsilon,
            "tie_word_embeddings": config.tie_output,
        }

    def from_config(self, settings: Settings) -> TransformerConfig:
        read = Reader(settings)
        read.need("model_type", [self.name], self.name, f"a {self.name} model is expected")
        bare = settings.get("architectures") == [self.bare_name]
        if not bare:
            heads = (self.class_name, self.class_name.replace("ForMaskedLM", "ForPreTraining"))
            reason = "its head does not predict words; save the model without it"
            read.need("architectures", [[head] for head in heads], [self.class_name], reason)
        read.need("is_decoder", [False], False, "the model would be a decoder")
        read.need("add_cross_attention", [False], False, "the model would be a decoder")
        read.need("position_embedding_type", ["absolute"], "absolute", "here positions are a table")
        read.need("type_vocab_size", [TOKEN_TYPES], TOKEN_TYPES, "a model with two token types is expected")
        read.need("rotary_value", [False], False, "here values are not turned")
        d_model = read.take("hidden_size", int)
        read.need("embedding_size", [d_model], d_model, "here embeddings are as wide as the model")
        tied = read.take("tie_word_embeddings", bool, True)
        length = read.take("max_position_embeddings", int)
        config = TransformerConfig(
            vocab_size=read.take("vocab_size", int),
            encoder_layers=read.take("num_hidden_layers", int),
            decoder_layers=0,
            d_model=d_model,
            d_ff=read.take("intermediate_size", int),
            activation=our_activation(read.take("hidden_act", str, "gelu")),
            dropout=read.take("hidden_dropout_prob", float, 0.1),
            tie_output=tied or bare,
            output_bias=not bare,
            output_transform=not bare,
            scale_embeddings=False,
            attention=AttentionConfig(num_heads=read.take("num_attention_heads", int)),
            norm=NormConfig(embedding=True, epsilon=read.take("layer_norm_eps", float, 1e-12)),
            positions=PositionConfig(kind=self.positions.kind, max_length=length),
        )
        read.finish()
        return config

    def entries(self, config: TransformerConfig) -> list[Entry]:
        prefix, width = self._prefix(config), config.d_model
        return [
            *self.place(prefix, config),
            *affine(f"{prefix}embeddings.LayerNorm", "embedding.norm", width, config.bias),
            *(entry for i in range(config.encoder_layers) for entry in self._layer(i, config)),
            *self._pooler(config),
            ignored(f"{prefix}embeddings.position_ids"),
            *(ignored(f"cls.seq_relationship.{part}") for part in ("weight", "bias")),
            *self._head(config),
        ]

    def _prefix(self, config: TransformerConfig) -> str:
        """What names of the trunk begin with: nothing where it was saved without a prediction head."""
        return f"{self.name}." if config.output_transform else ""

    def _pooler(self, config: TransformerConfig) -> Iterable[Entry]:
        name, width = f"{self._prefix(config)}{POOLER}", config.d_model
        for part, shape in (("weight", (width, width)), ("bias", (width,))):
            there = f"{name}.{part}"
            yield unread(there, shape) if self.pooled and is_bare(config) else ignored(there)

    def _layer(self, number: int, config: TransformerConfig) -> Iterable[Entry]:
        for theirs, ours in LAYER.items():
            size = config.d_ff if ours.endswith("inner") else config.d_model
            there = f"{self._prefix(config)}encoder.layer.{number}.{theirs}"
            yield from affine(there, f"encoder.layers.{number}.{ours}", size, config.bias)

    def _head(self, config: TransformerConfig) -> Iterable[Entry]:
        head, width = "cls.predictions", config.d_model
        decoder, biases = f"{head}.decoder.weight", (f"{head}.decoder.bias", f"{head}.bias")
        yield from embeddings(f"{self._prefix(config)}embeddings.word_embeddings.weight", decoder, config)
        if not config.output_transform:
            return
        for theirs, ours in (("dense", "transform.dense"), ("LayerNorm", "transform.norm")):
            yield from affine(f"{head}.transform.{theirs}", ours, width, config.bias)
        if config.output_bias and config.tie_output:
            yield same(biases[1], "output.bias", also=biases[:1])
        elif config.output_bias:  # of the two the first is added
            yield Entry(biases, ("output.bias",), lambda b: [b[0], b[0].clone()], lambda both, _: both[:1])
        else:
            for bias in biases[1:] if config.tie_output else biases:
                yield filled(bias, (config.vocab_size,), 0.0)
