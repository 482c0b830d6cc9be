"""What OpenAI's interface takes and gives."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from headway.serving.asking import Prompt
from headway.serving.wishes import Wishes

Prompts = str | list[str] | list[int] | list[list[int]]


class StreamOptions(BaseModel):
    include_usage: bool = False


class CompletionRequest(Wishes):
    """Beside OpenAI's settings: top_k, min_p, repetition_penalty, beams and length_penalty."""

    model_config = ConfigDict(extra="allow")

    model: str | None = None
    prompt: Prompts = ""
    """A causal model goes on from it; for an encoder-decoder it is the source."""
    max_tokens: Annotated[int | None, Field(ge=0)] = None
    n: Annotated[int, Field(ge=1)] = 1
    stop: str | list[str] | None = None
    logprobs: Annotated[int | None, Field(ge=0, le=20)] = None
    echo: bool = False
    stream: bool = False
    stream_options: StreamOptions | None = None


class Logprobs(BaseModel):
    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] = []
    text_offset: list[int] = []

    def add(
        self, text: str, log_prob: float | None, others: Sequence[tuple[str, float]], offset: int = 0
    ) -> None:
        """One token more; the first stands at `offset`."""
        self.text_offset.append(self.text_offset[-1] + len(self.tokens[-1]) if self.tokens else offset)
        self.tokens.append(text)
        self.token_logprobs.append(log_prob)
        told: dict[str, float] | None = None
        if log_prob is not None:
            told = {}
            for other, value in [*others, (text, log_prob)]:
                told.setdefault(other, value)  # of tokens that are written alike the likeliest
        self.top_logprobs.append(told)


class Choice(BaseModel):
    text: str
    index: int
    logprobs: Logprobs | None = None
    finish_reason: Literal["stop", "length"] | None = None


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int = 0
    total_tokens: int


class Completion(BaseModel):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None = None
    warnings: list[str] | None = None
    """Fields of the request that have no effect here."""


class ModelCard(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "headway"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class EmbeddingRequest(BaseModel):
    model: str | None = None
    input: Prompts
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int | None, Field(ge=1)] = None
    user: str | None = None


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str
    """As numbers, or as their little-endian 32-bit floats in base64."""


class EmbeddingList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


def prompts_of(prompts: Prompts) -> list[Prompt]:
    """A list of texts or of lists of tokens."""
    if isinstance(prompts, str):
        return [prompts]
    if prompts and all(isinstance(each, int) for each in prompts):
        return [prompts]  # type: ignore[list-item]
    return list(prompts)  # type: ignore[arg-type]
