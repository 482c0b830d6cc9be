"""Server-sent events: a stream of JSON objects with an end that clients know."""

import json
from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel

from headway.serving.errors import body_of, refusal_of

DONE = "data: [DONE]\n\n"
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; of a stream, events that hold one object each, then `[DONE]`.",
        "content": {"text/event-stream": {}},
    }
}


async def events_of(answers: AsyncIterator[BaseModel], path: str) -> AsyncIterator[str]:
    """Each answer as an event; an error as the last one, in the shape of the interface."""
    try:
        async for answer in answers:
            yield f"data: {answer.model_dump_json()}\n\n"
    except Exception as error:
        yield f"data: {json.dumps(body_of(refusal_of(error), path))}\n\n"
    yield DONE
