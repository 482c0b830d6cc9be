"""The three models over one stack. Axes: B rows, T positions, S source positions, D d_model, V vocabulary."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from headway.batch import Tokens
from headway.model.attention import KeyValues
from headway.model.cache import Cache
from headway.model.config import TransformerConfig
from headway.model.embedding import Embedding
from headway.model.initialise import initialise
from headway.model.mask import AttentionMask
from headway.model.output_transform import OutputTransform
from headway.model.positions import Positions, positions_of
from headway.model.stack import Stack


class Transformer(nn.Module):
    """What the three models share: a config, a target embedding, the way to the vocabulary (Paper §3.4)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config, config.vocab_size)
        self.transform = OutputTransform(config) if config.output_transform else nn.Identity()
        self.output = nn.Linear(config.d_model, config.vocab_size, bias=config.output_bias)
        if config.tie_output:
            self.output.weight = self.embedding.tokens.weight

    def forward(self, inputs: Tokens, source: Tokens | None = None) -> Float[Tensor, "B T D"]:
        """The trunk's hidden states; the loss projects only those it needs."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        count = sum(parameter.numel() for parameter in self.parameters())
        return f"{self.config.architecture} of {count:,} parameters: {self.config!r}"

    def logits(self, hidden: Float[Tensor, "*n D"]) -> Float[Tensor, "*n V"]:
        return self.output(self.transform(hidden))


class MaskedLM(Transformer):
    """An encoder that predicts what stood at masked positions, seeing both sides."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.encoder = Stack(config, config.encoder_layers)
        initialise(self, config)

    def forward(self, inputs: Tokens, source: Tokens | None = None) -> Float[Tensor, "B T D"]:
        return encode(self.embedding, self.encoder, inputs)


class Decoder(Transformer):
    """What predicts a next token: fed whole rows in training, a step at a time when decoding."""

    decoder: Stack

    def decode(
        self, inputs: Tokens, memory: list[KeyValues] | None = None, memory_segments: Tensor | None = None
    ) -> Float[Tensor, "B T D"]:
        positions = positions_of(inputs)
        own = AttentionMask(causal=True, query_segments=inputs.segments, key_segments=inputs.segments)
        seen = AttentionMask(query_segments=inputs.segments, key_segments=memory_segments)
        return self.decoder(self.embedding(inputs.ids, positions), positions, own, memory, seen)

    def step(
        self, ids: Int[Tensor, "B T"], cache: Cache, counts: Int[Tensor, "B"] | None = None
    ) -> Float[Tensor, "B V"]:
        """Logits after the newest token of each row, whose T newest tokens are `ids`; advances the cache.

        Rows may bring different numbers of tokens: row i the first counts[i], at least 1, of its ids.
        """
        length = ids.shape[1]
        cache.reserve(length)
        index = cache.lengths[:, None] + torch.arange(length, device=ids.device)
        positions = Positions(index, cache.bound + length)
        own = AttentionMask(causal=True, offset=cache.bound if cache.uniform else cache.lengths)
        seen = AttentionMask(key_segments=cache.memory_segments)
        x = self.embedding(ids, positions)
        hidden = self.decoder(x, positions, own, cache.memory, seen, cache)
        cache.advance(length, counts)
        if counts is None:
            return self.logits(hidden[:, -1])
        return self.logits(hidden[torch.arange(len(ids), device=ids.device), counts - 1])


class CausalLM(Decoder):
    """A decoder alone: each token from those before it."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.decoder = Stack(config, config.decoder_layers)
        initialise(self, config)

    def forward(self, inputs: Tokens, source: Tokens | None = None) -> Float[Tensor, "B T D"]:
        return self.decode(inputs)

    def begin(self, rows: int) -> Cache:
        """An empty cache for so many rows."""
        return self.decoder.new_cache(rows, [], None)


class EncoderDecoder(Decoder):
    """The paper's model: reads `source`, predicts each next token of the target (Paper §3.1, Figure 1)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.source_embedding = Embedding(config, config.source_vocab_size or config.vocab_size)
        if config.shares_embeddings:
            self.source_embedding.tokens = self.embedding.tokens
        self.encoder = Stack(config, config.encoder_layers)
        self.decoder = Stack(config, config.decoder_layers, sees_memory=True)
        initialise(self, config)

    def forward(self, inputs: Tokens, source: Tokens | None = None) -> Float[Tensor, "B T D"]:
        assert source is not None, "an encoder-decoder needs a source"
        return self.decode(inputs, self.decoder.memory(self.encode(source)), source.segments)

    def encode(self, source: Tokens) -> Float[Tensor, "B S D"]:
        """The encoder's output: the memory that the decoder attends to."""
        return encode(self.source_embedding, self.encoder, source)

    def begin(self, source: Tokens, beams: int = 1) -> Cache:
        """A cache with the source read, for `beams` adjacent rows each; nothing decoded yet."""
        memory = self.decoder.memory(self.encode(source))
        cache = self.decoder.new_cache(len(source.ids), memory, source.segments)
        if beams > 1:
            cache.spread(beams)
        return cache


def encode(embedding: Embedding, encoder: Stack, tokens: Tokens) -> Float[Tensor, "B S D"]:
    """Hidden states that see both sides of their own document."""
    positions = positions_of(tokens)
    mask = AttentionMask(query_segments=tokens.segments, key_segments=tokens.segments)
    return encoder(embedding(tokens.ids, positions), positions, mask)


def build(config: TransformerConfig) -> EncoderDecoder | MaskedLM | CausalLM:
    """A fresh model of the architecture that the layer counts name."""
    match config.architecture:
        case "encoder-decoder":
            return EncoderDecoder(config)
        case "encoder":
            return MaskedLM(config)
        case "decoder":
            return CausalLM(config)
