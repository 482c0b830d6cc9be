"""Blanks filled, in the shape of Hugging Face's fill-mask."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from headway.decoding.fill_mask import Filled, Filler, has_blank
from headway.errors import UserError
from headway.serving.errors import common_plain
from headway.serving.flow import check_size, compute, models_of
from headway.serving.models import Served
from headway.serving.refusal import invalid
from headway.text.tokenizer import split_at_blanks

Allowed = list[list[int]]
"""For each blank the tokens that may fill it."""


class Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    top_k: Annotated[int | None, Field(ge=1, le=1000)] = None
    targets: str | list[str] | None = None
    """All that may fill a blank, each one token of the model; scores stay those among all tokens."""


class FillRequest(BaseModel):
    inputs: str | list[str]
    """Texts with blanks, written <mask>, [MASK] or ___."""
    model: str | None = None
    parameters: Parameters | None = None


class Filling(BaseModel):
    score: float
    """The token's probability; of a second blank, with the first filled."""
    token: int
    token_str: str
    sequence: str
    """The text with this token in the blank, and in the others what is likeliest."""


def fill_router() -> APIRouter:
    router = APIRouter(tags=["as Hugging Face"], responses=common_plain())

    @router.post("/fill-mask")
    async def fill_mask(
        request: Request, asked: FillRequest
    ) -> list[Filling | list[Filling] | list[list[Filling]]]:
        """The likeliest tokens for a blank; for several blanks a list each, and so for several texts."""
        served = models_of(request).named(asked.model, fills)
        if not fills(served):
            raise invalid("model", "only a masked model fills blanks")
        single = isinstance(asked.inputs, str)
        texts = [asked.inputs] if isinstance(asked.inputs, str) else asked.inputs
        most = asked.parameters.top_k if asked.parameters and asked.parameters.top_k else 5
        found: list[list[Filling] | list[list[Filling]]] = []
        targets = asked.parameters.targets if asked.parameters else None
        targets = [targets] if isinstance(targets, str) else targets
        answers = await fill(request, served, texts, most, "inputs", targets)
        for text, filled in zip(texts, answers, strict=True):
            blanks = list(fillings(text, filled))
            found.append(blanks[0] if len(blanks) == 1 else blanks)
        return list(found[0] if single else found)

    return router


def fills(served: Served) -> bool:
    return served.bundle.architecture == "encoder"


async def fill(
    request: Request,
    served: Served,
    texts: Sequence[str],
    candidates: int,
    field: str,
    targets: Sequence[str] | None = None,
) -> list[Filled]:
    """Each text with its blanks filled, by `targets` alone if there are some.

    Raises Refusal, naming the field, for a text without a blank and for a target that is not one token.
    """
    check_size(request, field, texts)
    if not all(map(has_blank, texts)):
        raise invalid(field, "has no blank: write what is to be filled as <mask>, [MASK] or ___")
    sizes = [len(served.bundle.tokenizers.target.encode_blanks(text)) for text in texts]
    blanks = [len(split_at_blanks(text)) - 1 for text in texts]
    filler = Filler(served.pipeline.ensemble, served.pipeline.search.batch_tokens)
    allowed: Sequence[Allowed | None] = [None] * len(texts)
    if targets is not None:
        check_size(request, "targets", targets)
        allowed = await asyncio.to_thread(allowed_in, filler, texts, targets)
    cost = sum(size * count for size, count in zip(sizes, blanks, strict=True))
    run = ("fill", candidates, targets is None), partial(filled, filler, candidates)
    return await compute(request, served, run, list(zip(texts, allowed, strict=True)), cost)


def allowed_in(filler: Filler, texts: Sequence[str], targets: Sequence[str]) -> list[Allowed]:
    """For each text and blank the tokens of the targets."""
    if not targets:
        raise invalid("targets", "names nothing that could fill a blank")
    try:
        return [filler.targets_of(text, targets) for text in texts]
    except UserError as error:
        raise invalid("targets", str(error)) from error


def filled(filler: Filler, candidates: int, items: Sequence[tuple[str, Allowed | None]]) -> list[Filled]:
    """Either all items say what is allowed, or none."""
    allowed = [tokens for _, tokens in items if tokens is not None]
    return filler.fill([text for text, _ in items], candidates, allowed or None)


def fillings(text: str, filled: Filled) -> Sequence[list[Filling]]:
    """For each blank its candidates, each with the whole text."""
    around = split_at_blanks(text)
    chosen = [blank[0].text for blank in filled.blanks]
    result = []
    for i, blank in enumerate(filled.blanks):
        whole = []
        for each in blank:
            inside = [*chosen[:i], each.text, *chosen[i + 1 :]]
            sequence = around[0] + "".join(a + b for a, b in zip(inside, around[1:], strict=True))
            whole.append(
                Filling(score=each.probability, token=each.id, token_str=each.text, sequence=sequence)
            )
        result.append(whole)
    return result
