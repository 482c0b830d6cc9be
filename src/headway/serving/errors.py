"""Every error in the shape of the interface that was used; never a trace of what is inside."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from headway.errors import UserError
from headway.serving.flow import ClientGone
from headway.serving.refusal import Refusal, failed

PLAIN = ("/translate", "/languages", "/frontend", "/fill-mask", "/health")
"""Where an error is a bare text, as LibreTranslate and Hugging Face have it; elsewhere it is as OpenAI's."""
KINDS = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


class Detail(BaseModel):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class Error(BaseModel):
    """As OpenAI tells it."""

    error: Detail


class PlainError(BaseModel):
    """As LibreTranslate and Hugging Face tell it."""

    error: str


TOLD = {
    400: "the request cannot be read",
    401: "the key is missing or wrong",
    404: "there is no such thing here",
    413: "the body is too large",
    422: "a field cannot be used; the message names it",
    429: "too many requests are waiting; try again after Retry-After seconds",
    500: "the server failed",
    503: "the models are being loaded, or the server is about to stop",
    504: "the time limit is over",
}


def described(content: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The errors that every path may answer with, for the description of the interface."""
    schema = content.model_json_schema()
    inner = schema.pop("$defs", {})
    if "Detail" in inner:
        schema["properties"]["error"] = inner["Detail"]
    body = {"application/json": {"schema": schema}}
    return {status: {"description": text, "content": body} for status, text in TOLD.items()}


def common() -> dict[int | str, dict[str, Any]]:
    """Those of most interfaces."""
    return described(Error)


def common_plain() -> dict[int | str, dict[str, Any]]:
    """Those of interfaces whose errors are bare texts."""
    return described(PlainError)


def body_of(refusal: Refusal, path: str) -> dict[str, Any]:
    """What the client of an interface is told."""
    if path.startswith(PLAIN):
        return {"error": refusal.message}
    usual = "server_error" if refusal.status >= 500 else "invalid_request_error"
    kind = KINDS.get(refusal.status, usual)
    return {"error": {"message": refusal.message, "type": kind, "param": refusal.field, "code": refusal.code}}


def response_of(refusal: Refusal, path: str) -> Response:
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body_of(refusal, path), refusal.status, headers)


def refusal_of(error: Exception) -> Refusal:
    """What a client is told of an error: of what is wrong inside, nothing."""
    match error:
        case Refusal():
            return error
        case RequestValidationError():
            return invalid_request(error)
        case HTTPException(status_code=status, detail=detail):
            return Refusal(status, str(detail), code=None)
        case UserError():
            return Refusal(422, str(error), code="invalid_request")
        case ClientGone():
            return Refusal(499, "the client has gone")
    logging.getLogger(__name__).error("a request failed", exc_info=error)
    return failed()


def invalid_request(error: RequestValidationError) -> Refusal:
    """The first of what is wrong, with the name of its field; never what the client sent."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return Refusal(400, "the body is not JSON", code="invalid_json")
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
    field = place[0][:60].encode("utf-8", "replace").decode() if place else None
    if first["type"] == "extra_forbidden":
        return Refusal(422, f"{field}: is not known here", field=field, code="unknown_field")
    reason = str(first["msg"]).encode("utf-8", "replace").decode()
    message = f"{field}: {reason}" if field else f"the body: {reason}"
    return Refusal(422, message[:400], field=field, code="invalid_value")


def install(app: FastAPI) -> None:
    """Answer every error of the app so."""

    async def answer(request: Request, error: Exception) -> Response:
        return response_of(refusal_of(error), request.url.path)

    for kind in (Refusal, RequestValidationError, HTTPException, UserError, ClientGone, Exception):
        app.add_exception_handler(kind, answer)
