"""What Marian, Pegasus, Blenderbot, BART and mBART have in common: names of layers and of settings."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from headway.interop.families.parts import affine, position_table
from headway.interop.family import ACTIVATION_NAMES, Reader, Rule, Settings, our_activation
from headway.interop.rules import EPSILON_FIXED, NO_TRANSFORM, PLAIN_LAYERS
from headway.interop.weights import Entry, constant, filled, same
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.model.positions import wave_angles

COMMON_RULES: tuple[Rule, ...] = (EPSILON_FIXED, *PLAIN_LAYERS, NO_TRANSFORM)

SUBLAYERS = {
    "self_attn": "self_attention",
    "encoder_attn": "memory_attention",
    "fc1": "feed_forward.inner",
    "fc2": "feed_forward.output",
    "self_attn_layer_norm": "self_residual.norm",
    "encoder_attn_layer_norm": "memory_residual.norm",
    "final_layer_norm": "feed_forward_residual.norm",
}
PROJECTIONS = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "output"}

EMBEDDINGS = ("model.shared.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
HEAD = "lm_head.weight"


@dataclass(frozen=True)
class BartShape:
    """One of the five: where they differ."""

    name: str
    norm: Literal["post", "pre"]
    positions: Literal["sinusoidal", "learned"]
    embedding_norm: bool = False
    offset: int = 0
    """Rows of the learned table that stand before position 0 and are never used."""
    tables_saved: bool = True
    """Of sinusoids: whether they stand in the file."""
    own_vocabularies: bool = False
    """Whether source and target have a size of vocabulary each; else the smaller is filled up, with tokens
    whose bias of -inf lets them never be written."""

    def to_config(self, config: TransformerConfig) -> Settings:
        settings: Settings = {
            "vocab_size": self._rows(config),
            "max_position_embeddings": config.positions.max_length,
            "d_model": config.d_model,
            "activation_function": ACTIVATION_NAMES[config.activation],
            "scale_embedding": config.scale_embeddings,
            "tie_word_embeddings": self._ties(config),
            "dropout": config.dropout,
            "attention_dropout": 0.0,
            "activation_dropout": 0.0,
        }
        for stack, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
            settings[f"{stack}_layers"] = layers
            settings[f"{stack}_ffn_dim"] = config.d_ff
            settings[f"{stack}_attention_heads"] = config.attention.num_heads
        if self.own_vocabularies:
            settings["vocab_size"] = config.source_vocab_size or config.vocab_size
            settings["decoder_vocab_size"] = config.vocab_size
            settings["share_encoder_decoder_embeddings"] = config.source_vocab_size is None
        elif config.source_vocab_size is not None:  # they ignore the two, and we read them
            settings["source_vocab_size"] = config.source_vocab_size
            settings["target_vocab_size"] = config.vocab_size
        return settings

    def extra(self, config: TransformerConfig) -> Settings:
        """What CTranslate2's own converter asks for."""
        return {"normalize_before": self.norm == "pre", "normalize_embedding": self.embedding_norm}

    def from_config(self, settings: Settings) -> TransformerConfig:
        read = Reader(settings)
        read.need("model_type", [self.name], self.name, f"a {self.name} model is expected")
        read.need("is_decoder", [False], False, "the model would be a decoder alone")
        read.need("normalize_before", [self.norm == "pre"], self.norm == "pre", f"{self.name} is not so")
        read.need("normalize_embedding", [self.embedding_norm], self.embedding_norm, f"{self.name} is not so")
        read.ignore(
            "add_bias_logits", "add_final_layer_norm", "extra_layer_norm", "do_blenderbot_90_layernorm"
        )
        d_ff, heads = (
            read.need(
                f"encoder_{key}", [read.take(f"decoder_{key}", int)], None, f"decoder_{key} must be the same"
            )
            for key in ("ffn_dim", "attention_heads")
        )
        tied = read.take("tie_word_embeddings", bool, True)
        source = target = read.take("vocab_size", int)
        if self.own_vocabularies:
            joint = read.take("share_encoder_decoder_embeddings", bool, True)
            target = target if joint else read.take("decoder_vocab_size", int, target)
            read.ignore("decoder_vocab_size")
        else:
            joint = not read.has("target_vocab_size")
            source = source if joint else read.take("source_vocab_size", int)
            target = target if joint else read.take("target_vocab_size", int)
        config = TransformerConfig(
            vocab_size=target,
            source_vocab_size=None if joint else source,
            encoder_layers=read.take("encoder_layers", int),
            decoder_layers=read.take("decoder_layers", int),
            d_model=read.take("d_model", int),
            d_ff=d_ff,
            activation=our_activation(read.take("activation_function", str, "gelu")),
            dropout=read.take("dropout", float, 0.1),
            share_embeddings=tied,
            tie_output=tied,
            output_bias=True,
            scale_embeddings=read.take("scale_embedding", bool, False),
            attention=AttentionConfig(num_heads=heads),
            norm=NormConfig(position=self.norm, embedding=self.embedding_norm),
            positions=PositionConfig(
                kind=self.positions, max_length=read.take("max_position_embeddings", int)
            ),
        )
        read.finish()
        return config

    def entries(self, config: TransformerConfig) -> list[Entry]:
        return [
            *self._embeddings(config),
            *self._output_bias(config),
            *self._positions(config),
            *self._layers(config),
        ]

    def _ties(self, config: TransformerConfig) -> bool:
        """Whether all that theirs can tie is tied; what is not is written out, tensor by tensor."""
        own = self.own_vocabularies and config.source_vocab_size is not None
        return config.tie_output and (config.shares_embeddings or own)

    def _rows(self, config: TransformerConfig) -> int:
        """Of the output projection, and of embeddings where source and target need as many."""
        sizes = [config.vocab_size, config.source_vocab_size or 0]
        return config.vocab_size if self.own_vocabularies else max(sizes)

    def _embeddings(self, config: TransformerConfig) -> Iterable[Entry]:
        shared, source, target = EMBEDDINGS
        if self._ties(config) and config.shares_embeddings:
            yield same(shared, "embedding.tokens.weight", also=(source, target, HEAD))
            return
        if self._ties(config):
            yield same(source, "source_embedding.tokens.weight")
            yield same(target, "embedding.tokens.weight", also=(HEAD,))
            return
        yield from self._written_out(config)

    def _written_out(self, config: TransformerConfig) -> Iterable[Entry]:
        """Where nothing is tied there: each embedding by itself; `shared` is there and never used."""
        shared, source, target = EMBEDDINGS
        own, rows = self.own_vocabularies and config.source_vocab_size is not None, self._rows(config)
        copies = [target] if own else [target, shared]
        copies += [source] if config.shares_embeddings else []
        copies += [HEAD] if config.tie_output else []
        yield _filled_up(tuple(copies), "embedding.tokens.weight", rows)
        if not config.shares_embeddings:
            yield _filled_up((source,), "source_embedding.tokens.weight", 0 if own else rows)
        if not config.tie_output:
            yield _filled_up((HEAD,), "output.weight", rows)

    def _output_bias(self, config: TransformerConfig) -> Iterable[Entry]:
        name, missing = "final_logits_bias", self._rows(config) - config.vocab_size
        if config.output_bias:
            yield Entry(
                (name,),
                ("output.bias",),
                lambda ours: [F.pad(ours[0], (0, missing), value=-torch.inf)[None]],
                lambda theirs, shapes: [theirs[0][0, : shapes[0][0]]],
            )
        elif missing:
            bias = [0.0] * config.vocab_size + [-math.inf] * missing
            yield constant(name, lambda: torch.tensor([bias]))
        else:
            yield filled(name, (1, config.vocab_size), 0.0)

    def _positions(self, config: TransformerConfig) -> Iterable[Entry]:
        for stack, embedding in (("encoder", "source_embedding"), ("decoder", "embedding")):
            theirs = f"model.{stack}.embed_positions.weight"
            if self.positions == "sinusoidal":
                yield constant(theirs, _split_waves_of(config), written=self.tables_saved)
            else:
                yield position_table(theirs, config, self.offset, f"{embedding}.positions.table.weight")
            if self.embedding_norm:
                there, here = f"model.{stack}.layernorm_embedding", f"{embedding}.norm"
                yield from affine(there, here, config.d_model, config.bias)
            if self.norm == "pre":
                yield from affine(f"model.{stack}.layer_norm", f"{stack}.norm", config.d_model, config.bias)

    def _layers(self, config: TransformerConfig) -> Iterable[Entry]:
        for stack, count in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
            for i in range(count):
                for theirs, ours in SUBLAYERS.items():
                    if stack == "encoder" and theirs.startswith("encoder_attn"):
                        continue
                    there, here = f"model.{stack}.layers.{i}.{theirs}", f"{stack}.layers.{i}.{ours}"
                    if ours.endswith("attention"):
                        for projection, module in PROJECTIONS.items():
                            names = f"{there}.{projection}", f"{here}.{module}"
                            yield from affine(*names, config.d_model, config.bias)
                    else:
                        size = config.d_ff if ours.endswith("inner") else config.d_model
                        yield from affine(there, here, size, config.bias)


def _filled_up(theirs: tuple[str, ...], ours: str, rows: int) -> Entry:
    """One tensor of ours, written as often as there are names, each with zeros up to so many rows."""
    return Entry(
        theirs,
        (ours,),
        lambda tensors: [F.pad(tensors[0], (0, 0, 0, max(0, rows - len(tensors[0])))) for _ in theirs],
        lambda tensors, shapes: [tensors[0][: shapes[0][0]]],
    )


def _split_waves_of(config: TransformerConfig) -> Callable[[], Tensor]:
    def table() -> Tensor:
        angles = wave_angles(config.positions.max_length, config.d_model, config.positions.base)
        return torch.cat((angles.sin(), angles.cos()), dim=1)

    return table
