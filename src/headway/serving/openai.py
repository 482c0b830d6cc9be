"""OpenAI's interface: completions, models, embeddings (https://platform.openai.com/docs/api-reference)."""

import base64
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from headway.api import Pipeline
from headway.serving.asking import tokens_of
from headway.serving.completions import Completing
from headway.serving.errors import common
from headway.serving.events import EVENTS, events_of
from headway.serving.flow import check_size, compute, models_of
from headway.serving.models import Served
from headway.serving.openai_shapes import (
    Completion,
    CompletionRequest,
    Embedding,
    EmbeddingList,
    EmbeddingRequest,
    ModelCard,
    ModelList,
    Usage,
    prompts_of,
)
from headway.serving.refusal import invalid


def openai_router() -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["as OpenAI"], responses=common())

    @router.post(
        "/completions", response_model=Completion, response_model_exclude_none=False, responses=EVENTS
    )
    async def completions(request: Request, asked: CompletionRequest) -> Any:
        """Go on from a prompt; of an encoder-decoder, the output for a source."""
        completing = Completing(request, asked)
        if not asked.stream:
            return await completing.answer()
        chunks = await completing.chunks()
        return StreamingResponse(events_of(chunks, request.url.path), media_type="text/event-stream")

    @router.get("/models")
    async def models(request: Request) -> ModelList:
        """The models that are served."""
        held = models_of(request)
        return ModelList(data=[card(each) for each in held.all])

    @router.get("/models/{name}")
    async def model(request: Request, name: str) -> ModelCard:
        """One of them."""
        return card(models_of(request).named(name))

    @router.post("/embeddings")
    async def embeddings(request: Request, asked: EmbeddingRequest) -> EmbeddingList:
        """A vector for each text: the mean of the encoder's states over its tokens."""
        served = models_of(request).named(asked.model, has_encoder)
        texts = prompts_of(asked.input)
        check_size(request, "input", texts)
        if not has_encoder(served):
            raise invalid("model", "a causal model has no encoder to embed text with")
        if not texts or not all(texts):
            raise invalid("input", "there is nothing in an empty text to embed")
        size = served.bundle.config.d_model
        if asked.dimensions not in (None, size):
            raise invalid("dimensions", f"this model's vectors have {size}")
        tokenizer = served.bundle.tokenizers.source or served.bundle.tokenizers.target
        ids = [tokens_of(tokenizer, text, "input") for text in texts]
        plain = [text if isinstance(text, str) else tokenizer.decode(text) for text in texts]
        read = sum(map(len, ids))
        run = partial(embed, served.pipeline)
        vectors = await compute(request, served, ("embed", run), plain, read)
        data = [
            Embedding(index=i, embedding=coded(vector, asked.encoding_format))
            for i, vector in enumerate(vectors)
        ]
        return EmbeddingList(data=data, model=served.name, usage=Usage(prompt_tokens=read, total_tokens=read))

    return router


def has_encoder(served: Served) -> bool:
    return served.bundle.architecture != "decoder"


def embed(pipeline: Pipeline, texts: Sequence[str]) -> list[npt.NDArray[np.float32]]:
    """A vector for each text."""
    return list(pipeline.embed(texts))


def coded(vector: npt.NDArray[np.float32], encoding: str) -> list[float] | str:
    """The numbers, or their little-endian 32-bit floats in base64."""
    if encoding == "float":
        return [float(each) for each in vector]
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def card(served: Served) -> ModelCard:
    return ModelCard(id=served.name, created=int(served.since))
