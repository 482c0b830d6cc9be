"""What function the network computes, and nothing else. Defaults: the paper's base model (Paper Table 3)."""

from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal

from headway.errors import RecipeError, refuse_out_of_range

MOST_PARAMETERS = 10**11
"""A model that needs more is a slip of the pen; it would end in an error of memory."""

Architecture = Literal["encoder-decoder", "encoder", "decoder"]
Activation = Literal["relu", "gelu", "gelu_tanh", "silu", "swiglu", "geglu", "geglu_tanh"]
"""Those that end in `glu` are gated (Shazeer 2020); `tanh` is the approximation of GELU that GPT-2 uses."""


class Told:
    """Shows itself by the fields that are not as in the paper's base model."""

    def __repr__(self: Any) -> str:
        usual = {field.name: _default(field) for field in fields(self)}
        changed = [(name, value) for name in usual if (value := getattr(self, name)) != usual[name]]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed)})"


@dataclass(frozen=True, kw_only=True, repr=False)
class AttentionConfig(Told):
    """Multi-head attention (Paper §3.2.2)."""

    num_heads: int = 8
    """Heads of the queries."""
    num_kv_heads: int | None = None
    """Heads of keys and values, each shared by num_heads / num_kv_heads heads of queries; None =
    num_heads."""
    d_key: int | None = None
    """Size of a key in one head; None = d_model / num_heads."""
    d_value: int | None = None
    """Size of a value in one head; None = d_model / num_heads."""
    normalize: bool = False
    """RMSNorm of each head's queries and keys, before they are turned (Henry et al. 2020; Qwen3)."""
    window: int | None = None
    """In local layers a token sees those at most so many places away, on both sides or before it; what a
    decoder sees of the source is not limited. None = all layers are global."""
    global_every: int | None = None
    """Of layers 0, 1, 2, … those whose number is a multiple of this are global; None = beside a `window`
    all are local."""


@dataclass(frozen=True, kw_only=True, repr=False)
class NormConfig(Told):
    """Normalization, and whether it follows the residual sum (as in the paper) or precedes the sub-layer."""

    kind: Literal["layer", "rms"] = "layer"
    """Layer normalization, or by the root mean square alone."""
    position: Literal["post", "pre"] = "post"
    """`post`: after the residual sum (Paper §3.1). `pre`: before the sub-layer, with a norm at the end of
    the stack."""
    epsilon: float = 1e-5
    """Added to the variance."""
    embedding: bool = False
    """Normalize the sum of token and position embeddings (BERT, BART)."""
    first: bool = True
    """Before the first layer's self-attention too; ModernBERT leaves out this one (pre-norm only)."""


@dataclass(frozen=True, kw_only=True, repr=False)
class PositionConfig(Told):
    """How order enters: vectors added to embeddings (sinusoidal, learned), queries and keys turned (rotary),
    or a bias on the scores by distance (alibi, relative). With none, an encoder sees a bag of words."""

    kind: Literal["sinusoidal", "learned", "rotary", "alibi", "relative", "none"] = "sinusoidal"
    """`sinusoidal`, `learned`: added to embeddings. `rotary`: queries and keys are turned. `alibi`:
    scores fall with distance. `relative`: scores have a learned bias by distance, as T5 has it. `none`:
    order is known to causal layers alone."""
    max_length: int = 1024
    """Rows of the learned table, which must reach for the longest text with its end, or for
    `batch.context`; the other kinds have no limit."""
    base: float = 10000.0
    """Longest wavelength of sinusoidal and rotary positions, in units of 2π tokens."""
    local_base: float | None = None
    """The same for rotary positions in local layers; None = `base`."""
    buckets: int = 32
    """Of relative positions: so many distances or ranges of distances have a bias of their own, half of
    them for each side in an encoder (Raffel et al. 2020, §2.1)."""
    max_distance: int = 128
    """Of relative positions: from this distance on all have the same bias."""


@dataclass(frozen=True, kw_only=True, repr=False)
class TransformerConfig(Told):
    """What function the network computes. The two layer counts say which model it is: encoder-decoder,
    encoder (a masked language model), or decoder (a causal one)."""

    vocab_size: int
    """Not for recipes: the tokenizer decides it; set `text.target.vocab_size`."""
    source_vocab_size: int | None = None
    """The same, with `text.source.vocab_size`; None = one joint vocabulary."""
    encoder_layers: int = 6
    """Layers of the encoder; 0 = there is none."""
    decoder_layers: int = 6
    """Layers of the decoder; 0 = there is none."""
    d_model: int = 512
    """Width of the model; a multiple of `attention.num_heads` unless `d_key` and `d_value` are set."""
    d_ff: int = 2048
    """Inner width of the feed-forward networks."""
    activation: Activation = "relu"
    """Of the feed-forward networks. `gelu_tanh`: GELU approximated, as GPT-2 has it. Those that end in
    `glu` are gated, with a third matrix (Shazeer 2020)."""
    bias: bool = True
    """Biases in linear layers and layer norms."""
    dropout: float = 0.1
    """On each sub-layer's output and on embeddings (Paper §5.4)."""
    share_embeddings: bool = True
    """One embedding matrix for source and target (Paper §3.4); has effect only with one joint vocabulary."""
    tie_output: bool = True
    """The output projection is the target embedding matrix (Paper §3.4)."""
    output_bias: bool = False
    """A bias for each token of the vocabulary in the output projection."""
    output_transform: bool = False
    """For encoders alone: a linear layer, the activation and a norm before the output projection (BERT's
    prediction head)."""
    scale_embeddings: bool = True
    """Multiply embeddings by √d_model (Paper §3.4)."""
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    norm: NormConfig = field(default_factory=NormConfig)
    positions: PositionConfig = field(default_factory=PositionConfig)

    def __post_init__(self) -> None:
        for place, group, names in (
            ("model", self, ("vocab_size", "source_vocab_size", "d_model", "d_ff")),
            ("model.attention", self.attention, ("num_heads", "num_kv_heads", "d_key", "d_value", "window")),
            ("model.positions", self.positions, ("max_length",)),
        ):
            sizes = [(name, getattr(group, name)) for name in names]
            rules = [(name, size is None or size >= 1, "at least 1") for name, size in sizes]
            refuse_out_of_range(place, group, rules)
        every, positions = self.attention.global_every, self.positions
        local_base, buckets = positions.local_base, positions.buckets
        reaches = positions.max_distance > buckets / 2
        refuse_out_of_range(
            "model.attention", self.attention, [("global_every", every is None or every > 1, "at least 2")]
        )
        refuse_out_of_range(
            "model.positions",
            positions,
            [
                ("base", positions.base > 0, "above 0"),
                ("local_base", local_base is None or local_base > 0, "above 0"),
                ("buckets", buckets >= 4 and buckets % 2 == 0, "even and at least 4"),
                ("max_distance", reaches, f"above half of buckets = {buckets}"),
            ],
        )
        refuse_out_of_range("model.norm", self.norm, [("epsilon", self.norm.epsilon > 0, "above 0")])
        refuse_out_of_range("model", self, [("dropout", 0 <= self.dropout < 1, "at least 0 and below 1")])
        for problem in (*self._problems(), *self._idle_settings()):
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

    def _idle_settings(self) -> list[str]:
        """What would have no effect beside the rest."""
        attention, positions = self.attention, self.positions
        found = []
        if attention.global_every is not None and attention.window is None:
            found.append("attention.global_every: without attention.window every layer is global")
        if positions.local_base is not None and (positions.kind != "rotary" or attention.window is None):
            found.append(
                "positions.local_base: only for rotary positions and layers with an attention.window"
            )
        if not self.norm.first and self.norm.position != "pre":
            found.append("norm.first = false: only norm.position = 'pre' has a norm before the first layer")
        if self.output_transform and self.architecture != "encoder":
            found.append("model.output_transform: only an encoder alone has a prediction head")
        return found

    @property
    def architecture(self) -> Architecture:
        if self.encoder_layers and self.decoder_layers:
            return "encoder-decoder"
        return "encoder" if self.encoder_layers else "decoder"

    @property
    def is_gated(self) -> bool:
        """Whether the feed-forward networks have a third matrix (Shazeer 2020)."""
        return self.activation.partition("_")[0].endswith("glu")

    def window_of(self, layer: int) -> int | None:
        """How far the tokens of a layer, counted from 0, see; None = however far."""
        every = self.attention.global_every
        return None if every is not None and layer % every == 0 else self.attention.window

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
        biases = self.positions.buckets * self.attention.num_heads * (self.positions.kind == "relative")
        return rows * self.d_model + biases

    @property
    def shares_embeddings(self) -> bool:
        """Whether source and target really use one matrix: asked for, and possible."""
        return self.share_embeddings and self.source_vocab_size is None


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
