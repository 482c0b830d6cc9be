"""LibreTranslate's interface, for encoder-decoders (https://docs.libretranslate.com)."""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError

from headway.serving.asking import Wanted
from headway.serving.errors import common_plain
from headway.serving.flow import check_size, generate, models_of, planned, settings_of
from headway.serving.guard import is_key
from headway.serving.markup import Passage, passages_of
from headway.serving.models import Models, Served
from headway.serving.refusal import Refusal
from headway.serving.wishes import Wishes, search_for

PAIR = re.compile(r"([a-z]{2,3}(?:_[A-Za-z]+)?)-([a-z]{2,3}(?:_[A-Za-z]+)?)")
"""A model's name that says its languages, such as de-en."""
UNNAMED = "text"
"""The source of a model whose name says no languages; its target is called as the model."""


class TranslateRequest(BaseModel):
    """As JSON, or as a form."""

    q: str | list[str]
    source: str = "auto"
    target: str | None = None
    format: Literal["text", "html"] | None = "text"
    """Of HTML the text is read, and the tags stay around the words that they stood around."""
    alternatives: Annotated[int, Field(ge=0)] = 0
    api_key: str | None = None


class Detected(BaseModel):
    language: str
    confidence: float


class Translation(BaseModel):
    translatedText: str | list[str]  # noqa: N815  (the interface's name, as those below)
    alternatives: list[str] | list[list[str]] | None = None
    detectedLanguage: Detected | list[Detected] | None = None  # noqa: N815


class Language(BaseModel):
    code: str
    name: str
    targets: list[str]


class Named(BaseModel):
    code: str
    name: str


class Chosen(BaseModel):
    source: Named
    target: Named


class FrontendSettings(BaseModel):
    apiKeys: bool  # noqa: N815
    charLimit: int  # noqa: N815
    filesTranslation: bool = False  # noqa: N815
    frontendTimeout: int = 500  # noqa: N815
    keyRequired: bool  # noqa: N815
    language: Chosen
    suggestions: bool = False
    supportedFilesFormat: list[str] = []  # noqa: N815


class Health(BaseModel):
    status: str


def libretranslate_router() -> APIRouter:
    router = APIRouter(tags=["as LibreTranslate"], responses=common_plain())
    schema = TranslateRequest.model_json_schema()
    body = {
        "required": True,
        "content": {
            "application/json": {"schema": schema},
            "application/x-www-form-urlencoded": {"schema": schema},
        },
    }

    @router.post("/translate", response_model_exclude_none=True, openapi_extra={"requestBody": body})
    async def translate(request: Request) -> Translation:
        """The output for a text, or for each of several; lines are read apart and keep their breaks."""
        settings = settings_of(request)
        asked = await read(request)
        if settings.key and not is_key(
            asked.api_key or request.headers.get("authorization", ""), settings.key
        ):
            raise Refusal(401, "the key is missing or wrong", field="api_key", code="invalid_api_key")
        return await _translated(request, asked)

    @router.get("/languages")
    async def languages(request: Request) -> list[Language]:
        """Which texts are turned into which."""
        targets: dict[str, list[str]] = {}
        for source, target in map(languages_of, translators(models_of(request))):
            targets.setdefault(source, []).append(target)
        return [Language(code=source, name=source, targets=held) for source, held in targets.items()]

    @router.get("/frontend/settings")
    async def frontend_settings(request: Request) -> FrontendSettings:
        """What a page of LibreTranslate wants to know."""
        settings = settings_of(request)
        held = translators(models_of(request))
        source, target = languages_of(held[0]) if held else (UNNAMED, UNNAMED)
        return FrontendSettings(
            apiKeys=bool(settings.key),
            keyRequired=bool(settings.key),
            charLimit=settings.max_characters,
            language=Chosen(source=Named(code=source, name=source), target=Named(code=target, name=target)),
        )

    @router.get("/health")
    async def health(request: Request) -> Health:
        """Whether the server answers; 503 while its models are being loaded."""
        models_of(request).refuse_while_loading()
        return Health(status="ok")

    return router


async def _translated(request: Request, asked: TranslateRequest) -> Translation:
    """The answer to what was asked, in the shape in which it was asked."""
    settings = settings_of(request)
    served = model_for(models_of(request), asked)
    texts = [asked.q] if isinstance(asked.q, str) else asked.q
    check_size(request, "q", texts)
    own, several = served.pipeline.search, asked.alternatives + 1
    wishes = Wishes(beams=max(own.beams, several)) if several > 1 and own.method == "greedy" else Wishes()
    search = search_for(own, wishes, settings, several, None)
    wanted = Wanted(search=search, longest=settings.max_tokens, field="q")
    if asked.format == "html":
        found = await translate_pages(request, served, texts, wanted)
    else:
        found = await outputs(request, served, texts, wanted)
    best, others = [each[0] for each in found], [each[1:] for each in found]
    source, _ = languages_of(served)
    detected = [Detected(language=source, confidence=0.0) for _ in texts] if asked.source == "auto" else []
    single = isinstance(asked.q, str)
    return Translation(
        translatedText=best[0] if single else best,
        alternatives=None if several == 1 else others[0] if single else others,
        detectedLanguage=None if not detected else detected[0] if single else detected,
    )


async def outputs(request: Request, served: Served, texts: Sequence[str], wanted: Wanted) -> list[list[str]]:
    """For each text what the search finds, best first."""
    found = await generate(request, served, await planned(request, served, texts, wanted))
    return [[each.text for each in answers] for answers in found]


async def translate_pages(
    request: Request, served: Served, pages: Sequence[str], wanted: Wanted
) -> list[list[str]]:
    """The same for texts with tags: of each passage the best outputs, then the second best, and so on."""
    apart = await asyncio.to_thread(list, map(passages_of, pages))
    asks = [text for parts in apart for each in parts if isinstance(each, Passage) for text in each.asks]
    found = iter(await outputs(request, served, asks, wanted))
    return await asyncio.to_thread(put_together, apart, found)


def put_together(pages: Sequence[Sequence[Passage | str]], found: Iterator[list[str]]) -> list[list[str]]:
    """Each page with its best outputs, the second best, and so on."""
    result = []
    for parts in pages:
        columns = []
        for part in parts:
            if isinstance(part, Passage):
                ranks = zip(*(next(found) for _ in part.asks), strict=False)
                columns.append([part.filled(each) for each in ranks] or [part.filled([])])
            else:
                columns.append([part])
        several = max(map(len, columns))
        result.append(
            ["".join(each[min(rank, len(each) - 1)] for each in columns) for rank in range(several)]
        )
    return result


async def read(request: Request) -> TranslateRequest:
    """The request, from JSON or a form. Raises Refusal (400, as LibreTranslate) for what cannot be used."""
    content = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/x-www-form-urlencoded":
            form = parse_qs(content.decode("utf-8"), keep_blank_values=True, max_num_fields=1000)
            fields: Any = {key: values[0] if len(values) == 1 else values for key, values in form.items()}
            fields["q"] = form.get("q", []) if len(form.get("q", [])) > 1 else fields.get("q")
        elif kind == "application/json":
            fields = json.loads(content)
        else:
            raise Refusal(400, "send application/json or application/x-www-form-urlencoded")
        return TranslateRequest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])[:60] if first["loc"] else "the body"
        raise Refusal(400, f"{field}: {first['msg']}"[:400], field=field) from error
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "the body cannot be read") from error


def translators(models: Models) -> list[Served]:
    return [each for each in models.all if each.bundle.architecture == "encoder-decoder"]


def languages_of(served: Served) -> tuple[str, str]:
    """Codes of what a model reads and writes."""
    pair = PAIR.fullmatch(served.name)
    return (pair[1], pair[2]) if pair else (UNNAMED, served.name)


def model_for(models: Models, asked: TranslateRequest) -> Served:
    """The model of the languages that are asked for. Raises Refusal where there is none."""
    held = translators(models)
    for each in held:
        source, target = languages_of(each)
        if asked.source in ("auto", source) and asked.target in (None, target):
            return each
    if not held:
        models.named(None, lambda each: each.bundle.architecture == "encoder-decoder")
    known = ", ".join(" to ".join(languages_of(each)) for each in held)
    raise Refusal(400, f"no model here has these languages; there are: {known}", field="target")
