"""A request on its way: planned, computed, waited for; given up when its client goes or its time is over."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request

from headway.serving.asking import Answer, Plan, Prompt, Token, Wanted, plan, written
from headway.serving.models import Models, Served
from headway.serving.refusal import invalid, too_late
from headway.serving.searches import Told
from headway.serving.settings import ServingConfig

Result = TypeVar("Result")


class ClientGone(Exception):  # noqa: N818  (nobody is left to be told of an error)
    """The client has closed the connection."""


def models_of(request: Request) -> Models:
    found: Models = request.app.state.models
    return found


def settings_of(request: Request) -> ServingConfig:
    found: ServingConfig = request.app.state.settings
    return found


def check_size(request: Request, field: str, texts: Sequence[Prompt]) -> None:
    """Raises Refusal for more or longer texts than the server takes."""
    settings = settings_of(request)
    if len(texts) > settings.max_texts:
        raise invalid(field, f"{len(texts)} texts, and the server takes at most {settings.max_texts}")
    length = sum(map(len, texts))
    if length > settings.max_characters:
        raise invalid(
            field, f"{length:,} characters, and the server takes at most {settings.max_characters:,}"
        )


async def until(request: Request, future: Future[Result]) -> Result:
    """The result. Raises Refusal when the time is over, ClientGone when nobody waits; then it is given up."""
    waiting = asyncio.wrap_future(future)
    gone = asyncio.create_task(_gone(request))
    try:
        tasks: set[asyncio.Future[Any]] = {waiting, gone}
        await asyncio.wait(tasks, timeout=settings_of(request).timeout, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        if gone.done():
            raise ClientGone
        raise too_late()
    finally:
        gone.cancel()
        waiting.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def compute(
    request: Request,
    served: Served,
    run: tuple[object, Callable[[list[Any]], list[Any]]],
    items: Sequence[Any],
    cost: int,
) -> list[Any]:
    """What one pass of the model gives for the items; `run` is its kind and what computes it."""
    return await until(request, served.scheduler.compute(*run, items, cost))


async def planned(request: Request, served: Served, texts: Sequence[Prompt], wanted: Wanted) -> Plan:
    """The searches for some texts, made beside the loop: splitting a long text takes a while."""
    return await asyncio.to_thread(plan, served.pipeline, texts, wanted)


async def generate(request: Request, served: Served, the_plan: Plan) -> list[list[Answer]]:
    """The answers to each text, best first."""
    found = await until(request, served.scheduler.search(the_plan.asks))
    return the_plan.answers(found)


@dataclass(frozen=True)
class Piece:
    """What an output of a stream grew by."""

    text_number: int
    output: int
    text: str
    tokens: list[Token]
    """Those that it came with: one, or all of what was found at once."""
    answer: Answer | None = None
    """The whole, with the last piece."""


class Stream:
    """The outputs of a plan as they grow, parts in order. What a search finds at once comes as one piece."""

    def __init__(self, served: Served, the_plan: Plan) -> None:
        """Begins the searches. Raises Refusal if too many wait already."""
        self._events: asyncio.Queue[tuple[int, Told] | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def put(event: tuple[int, Told] | None) -> None:
            with suppress(RuntimeError):  # a loop that has ended
                loop.call_soon_threadsafe(self._events.put_nowait, event)

        self.plan = the_plan.told(lambda ask, told: put((ask, told)))
        self._future = served.scheduler.search(self.plan.asks)
        self._future.add_done_callback(lambda _: put(None))
        self._texts = list(self.plan.spans())
        self._owner = {ask: number for number, (_, span) in enumerate(self._texts) for ask in span}
        self._at: dict[tuple[int, int], int] = {}
        """The ask that each output of each text is at."""
        self._early: dict[tuple[int, int], list[Told]] = {}
        """What asks told, by output, before it was their turn."""
        self._sent: dict[tuple[int, int], str] = {}
        self._ids: dict[tuple[int, int], list[int]] = {}
        """The tokens so far, by ask and output."""

    async def pieces(self, seconds: float) -> AsyncIterator[Piece]:
        """Pieces until all outputs have ended. Raises Refusal when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                while (event := await self._events.get()) is not None:
                    for piece in self._take(*event):
                        yield piece
                for piece in self._ends():
                    yield piece
        except TimeoutError as error:
            raise too_late() from error
        finally:
            self._future.cancel()

    def _take(self, ask: int, told: Told) -> Iterator[Piece]:
        """What can be shown now that this was told."""
        number = self._owner[ask]
        key = number, told.output
        pieces, span = self._texts[number]
        if self._at.setdefault(key, span[0]) != ask:
            self._early.setdefault((ask, told.output), []).append(told)
            return
        text = told.text
        if key not in self._sent:
            text = self._before(number) + text
        if told.is_last:
            text += "" if pieces is None else pieces.gaps[ask - span[0] + 1]
            self._at[key] = ask + 1
        self._sent[key] = self._sent.get(key, "") + text
        yield Piece(number, told.output, text, self._tokens(ask, told, text))
        if told.is_last:
            for each in self._early.pop((ask + 1, told.output), []):
                yield from self._take(ask + 1, each)

    def _tokens(self, ask: int, told: Told, text: str) -> list[Token]:
        """The token that was told, as it stands in the text; </s> does not."""
        tokenizer = self.plan.tokenizer
        ids = self._ids.setdefault((ask, told.output), list(self.plan.asks[ask].request.start))
        if told.token == tokenizer.special.end:
            return []
        others = written(tokenizer, ids, told.alternatives)
        ids.append(told.token)
        return [Token(text, told.log_prob, others)]

    def _before(self, number: int) -> str:
        """What an output begins with before anything is chosen."""
        pieces, span = self._texts[number]
        if pieces is None:
            return ""
        return pieces.gaps[0] + self.plan.tokenizer.decode(self.plan.asks[span[0]].request.start)

    def _ends(self) -> Iterator[Piece]:
        """The rest of each output, with the whole of it."""
        found = [sorted(each, key=lambda output: output.number) for each in self._future.result()]
        for number, answers in enumerate(self.plan.answers(found)):
            for answer in answers:
                sent = self._sent.get((number, answer.number), "")
                rest = answer.text[len(sent) :] if answer.text.startswith(sent) else ""
                fresh = answer.tokens if (number, answer.number) not in self._sent else []
                yield Piece(number, answer.number, rest, fresh, answer)
