"""What the page asks for: models, outputs with the confidence of each token, candidates for the next."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Annotated

import torch
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from headway.decoding.ensemble import Ensemble
from headway.decoding.fill_mask import has_blank
from headway.decoding.logits import forbid, sharpen
from headway.decoding.settings import SearchConfig
from headway.serving.answers import ModelsAnswer, model_facts
from headway.serving.asking import Plan, Token, Wanted, written
from headway.serving.errors import common
from headway.serving.events import EVENTS, events_of
from headway.serving.filling import fill
from headway.serving.flow import Stream, check_size, compute, generate, models_of, planned, settings_of
from headway.serving.given import Given, read_given
from headway.serving.models import Served
from headway.serving.refusal import invalid
from headway.serving.running import sampling_of
from headway.serving.wishes import Wishes, search_for

COLD = 1e-3
BARS = 20
"""Candidates for a next token that are told."""


class Asked(Wishes):
    model: str | None = None
    text: str
    """A source, a prompt, or a text with blanks."""
    prefix: str = ""
    """What the output is to begin with."""
    max_tokens: Annotated[int | None, Field(ge=1)] = None


class PredictRequest(Asked):
    n_best: Annotated[int, Field(ge=1)] = 1
    candidates: Annotated[int, Field(ge=0, le=50)] = 5
    """Told for each place beside what was chosen."""


class StreamRequest(Asked):
    candidates: Annotated[int | None, Field(ge=0, le=50)] = None
    """Told for each token beside it; without a number, no tokens are told."""


class Alternative(BaseModel):
    text: str
    log_prob: float


class ShownToken(BaseModel):
    text: str
    log_prob: float
    alternatives: list[Alternative]


class ShownOutput(BaseModel):
    text: str
    score: float
    finished: bool
    tokens: list[ShownToken]


class Likely(BaseModel):
    text: str
    probability: float


class Predicted(BaseModel):
    outputs: list[ShownOutput]
    blanks: list[list[Likely]]
    """For each blank its likeliest tokens, the one chosen first."""


class Grown(BaseModel):
    text: str
    tokens: list[ShownToken]
    """Those that the text came with, if they are to be told."""


class Bar(Likely):
    kept: bool
    """Whether top_k, top_p and min_p leave it."""


class Next(BaseModel):
    candidates: list[Bar]


def page_router() -> APIRouter:
    router = APIRouter(prefix="/api", tags=["the page"], responses=common())

    @router.get("/models")
    async def models(request: Request) -> ModelsAnswer:
        """What there is to look at; 503 while it is being loaded."""
        held = models_of(request)
        held.refuse_while_loading()
        facts = [model_facts(each.name, each.pipeline) for each in held.all]
        return ModelsAnswer(models=facts, runs=list(held.runs))

    @router.post("/predict")
    async def predict(request: Request, asked: PredictRequest) -> Predicted:
        """The outputs for a text, with what the model was sure of and what else it considered."""
        served = models_of(request).named(asked.model)
        if served.bundle.architecture == "encoder":
            return await filled(request, served, asked)
        plan = await plan_of(request, served, asked, asked.n_best, asked.candidates)
        answers = (await generate(request, served, plan))[0]
        forced = await forced_tokens(request, served, asked, plan)
        before = asked.prefix if served.bundle.architecture == "decoder" else ""
        return Predicted(
            outputs=[
                ShownOutput(
                    text=before + each.text,
                    score=each.score,
                    finished=each.finished,
                    tokens=[*forced, *map(shown, each.tokens)],
                )
                for each in answers
            ],
            blanks=[],
        )

    @router.post("/stream", responses=EVENTS, response_model=Grown)
    async def stream(request: Request, asked: StreamRequest) -> StreamingResponse:
        """The output for a text while it grows."""
        served = models_of(request).named(asked.model)
        if served.bundle.architecture == "encoder":
            raise invalid("model", "a masked model writes nothing that could grow: use /api/predict")
        plan = await plan_of(request, served, asked, 1, asked.candidates)
        grown = growing(Stream(served, plan), settings_of(request).timeout)
        return StreamingResponse(events_of(grown, request.url.path), media_type="text/event-stream")

    @router.post("/next")
    async def next_token(request: Request, asked: Asked) -> Next:
        """The likeliest next tokens, and which of them sampling would choose from."""
        served = models_of(request).named(asked.model)
        if served.bundle.architecture == "encoder":
            raise invalid("model", "a masked model has no next token: use /api/predict")
        if asked.temperature == 0:  # where all but the likeliest have vanished
            asked = asked.model_copy(update={"temperature": COLD})
        plan = await plan_of(request, served, asked, 1, None)
        if not plan.asks:
            return Next(candidates=[])
        ask = plan.asks[0]
        given = (ask.request.source, ask.request.start, ask.search)
        run = ("next", partial(next_bars, served.pipeline.ensemble))
        return Next(candidates=(await compute(request, served, run, [given], ask.request.size))[0])

    return router


async def plan_of(
    request: Request, served: Served, asked: Asked, outputs: int, alternatives: int | None
) -> Plan:
    settings = settings_of(request)
    check_size(request, "text", [asked.text, asked.prefix])
    search = search_for(served.pipeline.search, asked, settings, outputs, asked.max_tokens)
    wanted = Wanted(
        search=search,
        prefix=asked.prefix,
        alternatives=alternatives,
        longest=settings.max_tokens,
        field="text",
    )
    return await planned(request, served, [asked.text], wanted)


async def growing(stream: Stream, seconds: float) -> AsyncIterator[Grown]:
    async for piece in stream.pieces(seconds):
        tokens = list(map(shown, piece.tokens)) if stream.plan.tells_tokens else []
        if piece.text or tokens:
            yield Grown(text=piece.text, tokens=tokens)


async def forced_tokens(
    request: Request, served: Served, asked: PredictRequest, plan: Plan
) -> list[ShownToken]:
    """The tokens of the prefix, with what the model gives them."""
    tokenizer = plan.tokenizer
    forced = tokenizer.encode(asked.prefix) if asked.prefix else []
    if not forced or not plan.asks:
        return []
    start = plan.asks[0].request.start
    given = Given(plan.asks[0].request.source, start, asked.candidates)
    run = ("given", partial(read_given, served.pipeline.ensemble))
    found = (await compute(request, served, run, [given], len(start)))[0]
    first, tokens, known = len(start) - len(forced), [], ""
    for i in range(first, len(start)):
        text = tokenizer.decode(start[first : i + 1])
        piece = text[len(known) :] if text.startswith(known) else ""
        others = written(tokenizer, start[:i], found[i].alternatives)
        tokens.append(shown(Token(piece, found[i].log_prob or 0.0, others)))
        known += piece
    return tokens


def shown(token: Token) -> ShownToken:
    others = [Alternative(text=other, log_prob=value) for other, value in token.alternatives]
    return ShownToken(text=token.text, log_prob=token.log_prob, alternatives=others)


async def filled(request: Request, served: Served, asked: PredictRequest) -> Predicted:
    """A text with its blanks filled; one without blanks as it is."""
    if not has_blank(asked.text):
        output = ShownOutput(text=asked.text, score=0.0, finished=True, tokens=[])
        return Predicted(outputs=[output], blanks=[])
    found = (await fill(request, served, [asked.text], max(1, asked.candidates), "text"))[0]
    return Predicted(
        outputs=[ShownOutput(text=found.text, score=found.score, finished=True, tokens=[])],
        blanks=[
            [Likely(text=each.text, probability=each.probability) for each in blank] for blank in found.blanks
        ],
    )


def next_bars(
    ensemble: Ensemble, given: Sequence[tuple[list[int] | None, list[int], SearchConfig]]
) -> list[list[Bar]]:
    """For each source and start the likeliest next tokens, `</s>` as what it is written."""
    sources = [source for source, _, _ in given if source is not None]
    tokenizer = ensemble.tokenizers.target
    _, log_probs = ensemble.begin(sources or None, [start for _, start, _ in given], 1)
    allowed = forbid(log_probs, tokenizer.special)
    result = []
    for i, (_, start, search) in enumerate(given):
        config = sampling_of(search)
        kept = sharpen(allowed[i : i + 1], config)[0] > -torch.inf
        best = (allowed[i] / config.temperature).softmax(dim=0).topk(min(BARS, allowed.shape[1]))
        bars = []
        for token, value in zip(best.indices.tolist(), best.values.tolist(), strict=True):
            text = (
                "</s>" if token == tokenizer.special.end else written(tokenizer, start, [(token, 0.0)])[0][0]
            )
            bars.append(Bar(text=text, probability=value, kept=bool(kept[token])))
        result.append(bars)
    return result
