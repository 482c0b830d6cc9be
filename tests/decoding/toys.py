"""Small things to decode with: a model that is a table, a model without a cache, tiny real ones."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headway.batch import Tokens
from headway.decoding.ensemble import Ensemble
from headway.decoding.hypothesis import penalty
from headway.decoding.steps import pad, pad_encoder
from headway.model.architectures import Transformer, build
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.text.tokenizer import BEGIN, END, PAD, Tokenizer, TokenizerConfig, Tokenizers, train_tokenizer

LETTERS = 4
"""Ids 5, 6, 7, 8 of the table's vocabulary stand for something; </s> ends."""
VOCABULARY = 5 + LETTERS
CHOICES = (END, *range(5, VOCABULARY))


def table_log_probs(prefix: Sequence[int]) -> Tensor:
    """Log-probabilities after a prefix: random, but always the same."""
    generator = torch.Generator().manual_seed(zlib.crc32(bytes(prefix)))
    logits = 2 * torch.randn(VOCABULARY, generator=generator)
    logits[END] += len(prefix) - 3.0
    return logits.log_softmax(0)


class TableSteps:
    """A search's steps over the table; rows begin with a token that tells sources apart."""

    def __init__(self, rows: Sequence[Sequence[int]]) -> None:
        self.rows = [list(row) for row in rows]
        self.steps = 0

    def log_probs(self) -> Tensor:
        return torch.stack([table_log_probs(row) for row in self.rows])

    def step(self, ids: Int[Tensor, "R"]) -> Float[Tensor, "R V"]:
        assert len(ids) == len(self.rows), "rows that left are still fed"
        self.steps += 1
        for row, token in zip(self.rows, ids.tolist(), strict=True):
            row.append(token)
        return self.log_probs()

    def reorder(self, rows: Int[Tensor, "R"]) -> None:
        assert len(rows) == len(self.rows)
        assert [self.rows[i][0] for i in rows.tolist()] == [row[0] for row in self.rows], (
            "another source's row"
        )
        self.keep(rows)

    def keep(self, rows: Int[Tensor, "Q"]) -> None:
        self.rows = [list(self.rows[i]) for i in rows.tolist()]


def every_output(source: int, longest: int, shortest: int = 0) -> list[tuple[float, list[int], bool]]:
    """All that can be decoded: sum of log-probabilities, tokens, whether it ended."""
    found = []

    def go(tokens: list[int], total: float) -> None:
        log_probs = table_log_probs([source, *tokens])
        for token in CHOICES:
            if token == END and len(tokens) < shortest:
                continue
            now, value = [*tokens, token], total + float(log_probs[token])
            if token == END or len(now) == longest:
                found.append((value, now, token == END))
            else:
                go(now, value)

    go([], 0.0)
    return found


def score_of(output: tuple[float, list[int], bool], alpha: float) -> float:
    return output[0] / penalty(len(output[1]), alpha)


class UncachedSteps:
    """Real models that read everything anew at each step."""

    def __init__(
        self, model: Transformer, sources: Sequence[list[int]] | None, starts: Sequence[list[int]]
    ) -> None:
        self.model = model
        self.sources = None if sources is None else [[*source, END] for source in sources]
        self.rows = [[BEGIN, *start] for start in starts]

    @torch.no_grad()
    def log_probs(self) -> Tensor:
        device = torch.device("cpu")
        ids, counts = pad(self.rows, PAD, device)
        source = None if self.sources is None else pad_encoder(self.sources, PAD, device)
        hidden = self.model(Tokens(ids), source)[torch.arange(len(ids)), counts - 1]
        return self.model.logits(hidden).log_softmax(-1)

    def step(self, ids: Int[Tensor, "R"]) -> Float[Tensor, "R V"]:
        for row, token in zip(self.rows, ids.tolist(), strict=True):
            row.append(token)
        return self.log_probs()

    def keep(self, rows: Int[Tensor, "Q"]) -> None:
        self.rows = [list(self.rows[i]) for i in rows.tolist()]
        if self.sources is not None:
            self.sources = [self.sources[i] for i in rows.tolist()]

    reorder = keep


@cache
def letters() -> Tokenizer:
    """Single characters: a to h, blank, full stop, line break."""
    return train_tokenizer(["abcdefgh .\n"], TokenizerConfig(kind="characters", vocab_size=40))


@cache
def byte_pairs() -> Tokenizer:
    """Little more than bytes."""
    config = TokenizerConfig(kind="bpe", vocab_size=300)
    return train_tokenizer(["the cat sat on the mat and the cat was fat"] * 3, config)


SHAPES = {
    "paper": {},
    "modern": {
        "bias": False,
        "activation": "swiglu",
        "norm": NormConfig(kind="rms", position="pre"),
        "positions": PositionConfig(kind="rotary"),
        "attention": AttentionConfig(num_heads=4, num_kv_heads=2),
    },
    "learned": {"positions": PositionConfig(kind="learned", max_length=24)},
}


def config_of(encoder: int, decoder: int, tokenizer: Tokenizer, shape: str = "paper") -> TransformerConfig:
    plain = TransformerConfig(
        vocab_size=tokenizer.vocab_size,
        encoder_layers=encoder,
        decoder_layers=decoder,
        d_model=16,
        d_ff=32,
        attention=AttentionConfig(num_heads=2),
    )
    return replace(plain, **SHAPES[shape])


def tiny(
    encoder: int, decoder: int, tokenizer: Tokenizer | None = None, shape: str = "paper", seed: int = 0
) -> Ensemble:
    """An untrained model, in training mode, which decoding must not mind."""
    torch.manual_seed(seed)
    tokenizer = tokenizer or letters()
    model = build(config_of(encoder, decoder, tokenizer, shape))
    both = tokenizer if encoder and decoder else None
    return Ensemble((model.train(),), Tokenizers(both, tokenizer))


def words(count: int, longest: int = 9) -> list[str]:
    """Texts of letters, of many lengths."""
    every = ["".join(each) for each in product("abcdefgh", repeat=3)]
    return [
        ("".join(every[(7 * i + 3 * k) % len(every)] for k in range(3)))[: 1 + i % longest]
        for i in range(count)
    ]
