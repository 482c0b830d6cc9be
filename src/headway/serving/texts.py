"""Texts taken apart and judged: their tokens, and how likely a model finds them."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from headway.api import Pipeline
from headway.decoding.score import Score
from headway.serving.errors import common
from headway.serving.flow import check_size, compute, models_of, settings_of
from headway.serving.refusal import invalid

MOST_PASSES = 64
"""Batches that one request for scores may cost: a masked model reads a text once for each of its tokens."""


class TokenizeRequest(BaseModel):
    model: str | None = None
    text: str
    side: Literal["source", "target"] | None = None
    """Of an encoder-decoder: whose vocabulary; the source's unless said."""


class Tokenized(BaseModel):
    ids: list[int]
    tokens: list[str]
    """For display: blanks as ▁, line ends as ↵."""
    count: int


class ScoreRequest(BaseModel):
    model: str | None = None
    text: str | list[str]
    source: str | list[str] | None = None
    """Of an encoder-decoder: what each text is the output for."""


class ScoredToken(BaseModel):
    text: str
    log_prob: float


class Scored(BaseModel):
    log_prob: float
    """Sum over the tokens and, where the model tells ends, the end of the text."""
    perplexity: float | None
    """Per token; none of an empty text, or where it is beyond every number."""
    tokens: list[ScoredToken]


class Scores(BaseModel):
    scores: list[Scored]


def texts_router() -> APIRouter:
    router = APIRouter(tags=["texts"], responses=common())

    @router.post("/tokenize")
    async def tokenize(request: Request, asked: TokenizeRequest) -> Tokenized:
        """The tokens of a text as the model reads it."""
        bundle = models_of(request).named(asked.model).bundle
        check_size(request, "text", [asked.text])
        source, target = bundle.tokenizers
        if asked.side == "source" and source is None:
            raise invalid("side", "only an encoder-decoder has a source")
        tokenizer = target if asked.side == "target" or source is None else source
        ids = tokenizer.encode(asked.text)
        return Tokenized(ids=ids, tokens=tokenizer.pieces(ids), count=len(ids))

    @router.post("/score")
    async def score(request: Request, asked: ScoreRequest) -> Scores:
        """How likely each text is, token by token, in nats."""
        served = models_of(request).named(asked.model)
        texts = [asked.text] if isinstance(asked.text, str) else asked.text
        sources = [asked.source] if isinstance(asked.source, str) else asked.source
        check_size(request, "text", [*texts, *(sources or [])])
        pairs = served.bundle.architecture == "encoder-decoder"
        if pairs != (sources is not None):
            needs = "is needed for each text" if pairs else "has no effect: only an encoder-decoder reads one"
            raise invalid("source", needs)
        if sources is not None and len(sources) != len(texts):
            raise invalid("source", f"{len(sources)} sources for {len(texts)} texts: give one for each")
        tokenizers = served.bundle.tokenizers
        ids = tokenizers.target.encode_batch(texts)
        read = [] if tokenizers.source is None else tokenizers.source.encode_batch(sources or [])
        longest, cost = max(map(len, [*ids, *read]), default=0), sum(map(len, [*ids, *read]))
        context = served.pipeline.ensemble.context
        settings = settings_of(request)
        if not context and longest > settings.max_tokens:
            raise invalid("text", f"has {longest} tokens, and the server takes at most {settings.max_tokens}")
        if served.bundle.architecture == "encoder":
            cost = sum(len(row) * min(len(row), context or len(row)) for row in ids)
        if cost > MOST_PASSES * settings.batch_tokens:
            raise invalid("text", "is too long to be scored token by token: give shorter ones")
        run = ("score", partial(score_all, served.pipeline))
        items = [(text, None if sources is None else sources[i]) for i, text in enumerate(texts)]
        found = await compute(request, served, run, items, cost)
        return Scores(scores=[scored(served.pipeline, each) for each in found])

    return router


def score_all(pipeline: Pipeline, items: Sequence[tuple[str, str | None]]) -> list[Score]:
    sources = [source for _, source in items if source is not None]
    found: list[Score] = pipeline.score([text for text, _ in items], sources or None)
    return found


def scored(pipeline: Pipeline, score: Score) -> Scored:
    tokenizer = pipeline.bundle.tokenizers.target
    masked = pipeline.architecture == "encoder"
    # Where the vocabulary has nothing to begin with, the first token is given, not predicted.
    known = score.ids if masked else [*score.ids, tokenizer.special.end][-len(score.log_probs) :]
    pieces = tokenizer.pieces(known)
    total = sum(score.log_probs)
    mean = -total / len(score.log_probs) if score.log_probs else 0.0
    return Scored(
        log_prob=total,
        perplexity=math.exp(mean) if score.log_probs and mean < 700 else None,
        tokens=[
            ScoredToken(text=text, log_prob=value)
            for text, value in zip(pieces, score.log_probs, strict=True)
        ],
    )
