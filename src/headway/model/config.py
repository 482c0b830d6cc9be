"""What function the network computes, and nothing else. Defaults: the paper's base model (Paper Table 3)."""

from dataclasses import dataclass, field
from typing import Literal

from headway.errors import RecipeError, refuse_out_of_range

MOST_PARAMETERS = 10**11
"""A model that needs more is a slip of the pen; it would end in an error of memory."""

Architecture = Literal["encoder-decoder", "encoder", "decoder"]


@dataclass(frozen=True, kw_only=True)
class AttentionConfig:
    """Multi-head attention (Paper §3.2.2). Sizes are per head; None stands for d_model / num_heads."""

    num_heads: int = 8
    num_kv_heads: int | None = None
    """Heads of keys and values, each shared by num_heads / num_kv_heads queries; None = num_heads."""
    d_key: int | None = None
    d_value: int | None = None


@dataclass(frozen=True, kw_only=True)
class NormConfig:
    """Normalization, and whether it follows the residual sum (as in the paper) or precedes the sub-layer."""

    kind: Literal["layer", "rms"] = "layer"
    position: Literal["post", "pre"] = "post"
    epsilon: float = 1e-5


@dataclass(frozen=True, kw_only=True)
class PositionConfig:
    """How order enters: waves or learned vectors added to embeddings, or queries and keys turned."""

    kind: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal"
    max_length: int = 1024
    """Rows of the learned table; the other kinds have no limit."""
    base: float = 10000.0
    """Longest wavelength of sinusoidal and rotary positions, in units of 2π tokens."""


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """The two layer counts say which model it is: encoder-decoder, encoder, or decoder."""

    vocab_size: int
    source_vocab_size: int | None = None
    """Tokens of the source language where it has a vocabulary of its own; None = one joint vocabulary."""
    encoder_layers: int = 6
    decoder_layers: int = 6
    d_model: int = 512
    d_ff: int = 2048
    activation: Literal["relu", "gelu", "swiglu"] = "relu"
    bias: bool = True
    """Biases in linear layers and layer norms."""
    dropout: float = 0.1
    share_embeddings: bool = True
    """One embedding matrix for source and target (Paper §3.4); needs one vocabulary."""
    tie_output: bool = True
    """The output projection is the target embedding matrix (Paper §3.4)."""
    scale_embeddings: bool = True
    """Multiply embeddings by √d_model (Paper §3.4)."""
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    norm: NormConfig = field(default_factory=NormConfig)
    positions: PositionConfig = field(default_factory=PositionConfig)

    def __post_init__(self) -> None:
        for place, group, names in (
            ("model", self, ("vocab_size", "source_vocab_size", "d_model", "d_ff")),
            ("model.attention", self.attention, ("num_heads", "num_kv_heads", "d_key", "d_value")),
            ("model.positions", self.positions, ("max_length",)),
        ):
            sizes = [(name, getattr(group, name)) for name in names]
            rules = [(name, size is None or size >= 1, "at least 1") for name, size in sizes]
            refuse_out_of_range(place, group, rules)
        refuse_out_of_range("model.positions", self.positions, [("base", self.positions.base > 0, "above 0")])
        refuse_out_of_range("model.norm", self.norm, [("epsilon", self.norm.epsilon > 0, "above 0")])
        refuse_out_of_range("model", self, [("dropout", 0 <= self.dropout < 1, "at least 0 and below 1")])
        for problem in self._problems():
            raise RecipeError(problem)

    def _problems(self) -> list[str]:
        """What contradicts itself, each with the key and the remedy."""
        heads, attention = self.attention.num_heads, self.attention
        found = []
        if min(self.encoder_layers, self.decoder_layers) < 0 or not (
            self.encoder_layers or self.decoder_layers
        ):
            found.append("model: give encoder_layers, decoder_layers, or both a number of at least 1")
        if self.d_model % heads and None in (attention.d_key, attention.d_value):
            found.append(f"model.d_model = {self.d_model} is not a multiple of attention.num_heads = {heads}")
        elif heads % self.num_kv_heads:
            found.append(
                f"attention.num_heads = {heads} is not a multiple of num_kv_heads = {self.num_kv_heads}"
            )
        elif self.positions.kind == "rotary" and self.d_key % 2:
            found.append(f"rotary positions turn pairs: d_key = {self.d_key} must be even")
        if self.positions.kind == "sinusoidal" and self.d_model % 2:
            found.append(f"sinusoidal positions come in pairs: d_model = {self.d_model} must be even")
        if self.source_vocab_size is not None and self.architecture != "encoder-decoder":
            found.append("model.source_vocab_size: only an encoder-decoder reads a source")
        if self.fewest_parameters > MOST_PARAMETERS:
            found.append(
                f"model: with d_model = {self.d_model} and these layers and vocabularies it has "
                f"{self.fewest_parameters:,} parameters or more; at most {MOST_PARAMETERS:,} are possible"
            )
        return found

    @property
    def architecture(self) -> Architecture:
        if self.encoder_layers and self.decoder_layers:
            return "encoder-decoder"
        return "encoder" if self.encoder_layers else "decoder"

    @property
    def d_key(self) -> int:
        return self.attention.d_key or self.d_model // self.attention.num_heads

    @property
    def d_value(self) -> int:
        return self.attention.d_value or self.d_model // self.attention.num_heads

    @property
    def num_kv_heads(self) -> int:
        return self.attention.num_kv_heads or self.attention.num_heads

    @property
    def fewest_parameters(self) -> int:
        """A lower bound that costs nothing; no model has more than a few times as many."""
        heads = self.attention.num_heads * (self.d_key + self.d_value)
        layers = self.encoder_layers + self.decoder_layers
        rows = self.vocab_size + (self.source_vocab_size or 0) + layers * (2 * self.d_ff + heads)
        if self.positions.kind == "learned":
            rows += self.positions.max_length
        return rows * self.d_model

    @property
    def shares_embeddings(self) -> bool:
        """Whether source and target really use one matrix: asked for, and possible."""
        return self.share_embeddings and self.source_vocab_size is None
