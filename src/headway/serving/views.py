"""The interface of the page's views into a model. Looking never touches what is decoded meanwhile."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from headway.bundle import Bundle
from headway.errors import UserError
from headway.serving.answers import (
    Attended,
    AttentionAnswer,
    GuessesAnswer,
    MasksAnswer,
    PositionsAnswer,
    Shown,
    SummaryAnswer,
    TreeAnswer,
    guesses_answer,
    masks_answer,
    own_output,
    positions_answer,
    tree_answer,
)
from headway.serving.models import Served
from headway.serving.refusal import invalid, too_busy, too_late
from headway.serving.single_file import single_file

MOST_CHARACTERS = 20_000
MOST_BEAMS = 32
MOST_WAITING = 8
"""Who may look or wait to look at the same time."""
LONGEST_WAIT = 30.0
KEPT_RECORDINGS = 2
"""The newest, so that another layer of the same text need not be computed again."""

Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Answer = TypeVar("Answer")


class Looked(BaseModel):
    """A text to look at; without one, the model's own output."""

    model: str | None = None
    source: Text | None = None
    """What an encoder-decoder reads; of no use to others."""
    text: Text | None = None


class LayerLooked(Looked):
    stack: Shown
    layer: Annotated[int, Field(ge=1)]
    """Counted from 1."""


class TreeAsked(BaseModel):
    model: str | None = None
    text: Text
    """A source, or a prompt."""
    beams: Annotated[int, Field(ge=1, le=MOST_BEAMS)] = 4


class Saved(BaseModel):
    """A view of the page, and the answers that it needs."""

    hash: Annotated[str, Field(max_length=4 * MOST_CHARACTERS, pattern="^#")]
    answers: dict[str, Any]


class Views:
    """The views of all models of a server, with the newest recordings."""

    def __init__(self) -> None:
        self.waiting = threading.BoundedSemaphore(MOST_WAITING)
        self.recordings: list[tuple[Bundle, str | None, str, Attended]] = []

    def served(self, request: Request, name: str | None) -> Served:
        found: Served = request.app.state.models.named(name)
        return found

    @contextmanager
    def looking(self, served: Served) -> Iterator[None]:
        """One at a time for each model. Raises Refusal if too many wait, or for too long, or by UserError."""
        if not self.waiting.acquire(blocking=False):
            raise too_busy()
        try:
            if not served.viewing.acquire(timeout=LONGEST_WAIT):
                raise too_late()
            try:
                yield
            except UserError as error:
                raise invalid("text", str(error)) from error
            finally:
                served.viewing.release()
        finally:
            self.waiting.release()

    def look(
        self, request: Request, asked: Looked, see: Callable[[Bundle, str | None, str], Answer]
    ) -> Answer:
        """What `see` finds in the text that was asked for, or in the model's own output."""
        served = self.served(request, asked.model)
        with self.looking(served):
            bundle = served.pipeline.bundle
            text = asked.text or own_output(served.pipeline, asked.source)
            return see(bundle, asked.source, text)

    def attended(self, bundle: Bundle, source: str | None, text: str) -> Attended:
        """The recording of this text, kept from before or new."""
        for kept in self.recordings:
            if kept[0] is bundle and kept[1:3] == (source, text):
                return kept[3]
        found = Attended(bundle, source, text)
        self.recordings = [(bundle, source, text, found), *self.recordings[: KEPT_RECORDINGS - 1]]
        return found


def views_router() -> APIRouter:
    """The views' paths. The app's state has `models`."""
    views, router = Views(), APIRouter(tags=["looking into a model"])

    @router.post("/attention")
    def attention(request: Request, asked: LayerLooked) -> AttentionAnswer:
        """The weights of all heads of one layer."""
        attended = views.look(request, asked, views.attended)
        try:
            return attended.layer(asked.stack, asked.layer)
        except UserError as error:
            raise invalid("layer", str(error)) from error

    @router.post("/attention/summary")
    def summary(request: Request, asked: Looked) -> SummaryAnswer:
        """All heads at a glance."""
        return views.look(request, asked, views.attended).summary

    @router.post("/guesses")
    def guesses(request: Request, asked: Looked) -> GuessesAnswer:
        """What each layer would say, were it the last."""
        return views.look(request, asked, guesses_answer)

    @router.post("/masks")
    def masks(request: Request, asked: Looked) -> MasksAnswer:
        """What each position may see."""
        return views.look(request, asked, masks_answer)

    @router.post("/search-tree")
    def search_tree(request: Request, asked: TreeAsked) -> TreeAnswer:
        """All that a beam search looked at."""
        served = views.served(request, asked.model)
        with views.looking(served):
            return tree_answer(served.pipeline, asked.text, asked.beams)

    @router.get("/positions")
    def positions(
        request: Request,
        model: str | None = None,
        length: Annotated[int, Query(ge=2, le=256)] = 100,
    ) -> PositionsAnswer:
        """How the model tells positions apart."""
        served = views.served(request, model)
        with views.looking(served):
            return positions_answer(served.pipeline.bundle, length)

    @router.post("/single-file", response_class=HTMLResponse)
    def save(asked: Saved) -> HTMLResponse:
        """The page as one file that holds these answers and needs no server."""
        page = single_file(asked.hash, asked.answers)
        return HTMLResponse(page, headers={"Content-Disposition": "attachment; filename=headway.html"})

    return router
