"""One thread that computes for all who ask of one model: whoever comes joins the running batch."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from headway.decoding.ensemble import Ensemble
from headway.errors import UserError
from headway.serving.refusal import Refusal, failed, stopping, too_busy
from headway.serving.running import Running
from headway.serving.searches import Ask, Output, Search, search_of

LONGEST_NAP = 5.0
"""Seconds after which an idle thread looks by itself whether it is closed: the last reference to a model may
go in this very thread, between its look and its sleep, and then nobody wakes it."""

Run = Callable[[list[Any]], list[Any]]
"""What a single pass over some items gives, an answer for each."""


@dataclass(eq=False)
class Ticket:
    """One request: its future gets the answers, and cancelling that takes it out of the batch."""

    answers: list[Any]
    future: Future[list[Any]] = field(default_factory=Future)
    missing: int = 0
    """Answers still to come."""

    def __post_init__(self) -> None:
        self.missing = len(self.answers)

    def answer(self, place: int, found: Any) -> None:
        self.answers[place] = found
        self.missing -= 1
        if not self.missing:
            settle(self.future, self.answers)

    def fail(self, error: Exception) -> None:
        with suppress(InvalidStateError):  # nobody waits any more
            self.future.set_exception(error)


def settle(future: Future[Any], result: Any) -> None:
    """The result, for whoever still waits."""
    with suppress(InvalidStateError):
        future.set_result(result)


@dataclass(eq=False)
class SearchJob:
    """A search that is one of a ticket's answers."""

    search: Search
    ticket: Ticket
    place: int


@dataclass(eq=False)
class PassJob:
    """Items for one pass of the model; those of the same kind are computed together."""

    kind: object
    run: Run
    items: list[Any]
    ticket: Ticket
    cost: int
    """Tokens, or about as many."""


@dataclass
class Counts:
    """What a scheduler has done so far."""

    steps: int = 0
    rows: int = 0
    """Rows of all steps together."""
    passes: int = 0
    tokens: int = 0
    """Tokens that searches chose."""


class Scheduler:
    """Takes searches and passes from any thread; between two steps at most one pass is computed."""

    def __init__(self, ensemble: Ensemble, batch_tokens: int, queue: int, name: str = "") -> None:
        self.ensemble, self.batch_tokens, self.queue = ensemble, batch_tokens, queue
        self.counts = Counts()
        self._running = Running(ensemble)
        self._jobs: dict[Search, SearchJob] = {}
        """Of the searches that run."""
        self._searches: deque[SearchJob] = deque()
        self._passes: deque[PassJob] = deque()
        self._changed = threading.Condition()
        self._closed = False
        for model in ensemble.models:
            model.eval()
        self._thread = threading.Thread(target=self._work, name=f"headway-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Texts that nothing is computed for yet, of those that somebody waits for."""
        searches = sum(not each.ticket.future.done() for each in list(self._searches))
        return searches + sum(len(each.items) for each in list(self._passes) if not each.ticket.future.done())

    @property
    def rows(self) -> int:
        """Rows of the running batch."""
        return self._running.rows

    def search(self, asks: Sequence[Ask]) -> Future[list[list[Output]]]:
        """What each ask finds, best first. Raises Refusal if too many wait already."""
        ticket = Ticket([None] * len(asks))
        competes = self.ensemble.architecture == "decoder"
        tokenizer = self.ensemble.tokenizers.target
        jobs = [
            SearchJob(search_of(ask, tokenizer, cut_competes=competes), ticket, place)
            for place, ask in enumerate(asks)
        ]
        if not jobs:
            settle(ticket.future, [])
            return ticket.future
        with self._changed:
            self._admit(len(jobs))
            self._searches += jobs
            self._changed.notify()
        return ticket.future

    def compute(self, kind: object, run: Run, items: Sequence[Any], cost: int) -> Future[list[Any]]:
        """What `run` gives for the items, computed together with those of other requests of equal `kind`.

        Raises Refusal if too many wait already.
        """
        job = PassJob(kind, run, list(items), Ticket([None] * len(items)), cost)
        if not job.items:
            settle(job.ticket.future, [])
            return job.ticket.future
        with self._changed:
            self._admit(len(job.items))
            self._passes.append(job)
            self._changed.notify()
        return job.ticket.future

    def close(self, *, at_once: bool = False) -> None:
        """Take nothing more; the thread ends when all that was asked for is done, or at once."""
        with self._changed:
            self._closed = True
            if at_once:
                jobs: list[SearchJob | PassJob] = [*self._searches, *self._passes, *self._jobs.values()]
                for each in jobs:
                    each.ticket.fail(stopping())
                self._searches.clear()
                self._passes.clear()
            self._changed.notify()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended, which `close` asks for."""
        self._thread.join(timeout)

    def _admit(self, texts: int) -> None:
        if self._closed:
            raise stopping()
        if self.waiting and self.waiting + texts > self.queue:
            raise too_busy()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._searches or self._passes or self._jobs):
                    if self._closed:
                        return
                    self._changed.wait(LONGEST_NAP)
            try:
                self._turn()
            except Exception as error:
                self._give_up(error)

    def _turn(self) -> None:
        """A pass if one waits, whoever has come and fits, then a step of the batch."""
        self._pass()
        self._drop_cancelled()
        joining = self._next_searches()
        if joining:
            self._jobs |= {each.search: each for each in joining}
            self._running.join([each.search for each in joining])
        if self._jobs:
            self.counts.steps += 1
            self.counts.rows += self._running.rows
            for search in self._running.advance():
                job = self._jobs.pop(search)
                outputs = search.outputs()
                self.counts.tokens += sum(len(each.found.ids) for each in outputs)
                job.ticket.answer(job.place, outputs)

    def _drop_cancelled(self) -> None:
        """Leave out what nobody waits for any more."""
        with self._changed:
            self._searches = deque(each for each in self._searches if not each.ticket.future.done())
        over = [search for search, job in self._jobs.items() if job.ticket.future.done()]
        if over:
            self._running.leave(over)
            for search in over:
                del self._jobs[search]

    def _next_searches(self) -> list[SearchJob]:
        """Those first in the queue that fit beside what runs; one always fits into an empty batch."""
        found: list[SearchJob] = []
        with self._changed:
            while self._searches:
                candidate = self._searches[0].search
                running = [*self._running.searches, *(each.search for each in found)]
                if running and room_of([*running, candidate]) > self.batch_tokens:
                    break
                found.append(self._searches.popleft())
        return found

    def _pass(self) -> None:
        """Compute the first pass that waits, with others of its kind."""
        with self._changed:
            self._passes = deque(each for each in self._passes if not each.ticket.future.done())
            if not self._passes:
                return
            first = self._passes[0]
            jobs: list[PassJob] = []
            cost = 0
            for each in list(self._passes):
                if each.kind == first.kind and (not jobs or cost + each.cost <= self.batch_tokens):
                    jobs.append(each)
                    cost += each.cost
                    self._passes.remove(each)
        self.counts.passes += 1
        try:
            found = iter(first.run([item for each in jobs for item in each.items]))
            for each in jobs:
                settle(each.ticket.future, [next(found) for _ in each.items])
        except Exception as error:
            for each in jobs:
                each.ticket.fail(told(error))

    def _give_up(self, error: Exception) -> None:
        """Fail all that runs and begin anew: what it left cannot be gone on with."""
        for each in self._jobs.values():
            each.ticket.fail(told(error))
        self._jobs.clear()
        self._running.clear()


def room_of(searches: Sequence[Search]) -> int:
    """Rows of some searches times the longest that any of them may become."""
    return sum(each.rows for each in searches) * max(each.ask.request.size for each in searches)


def told(error: Exception) -> Exception:
    """What a client is told of an error: of what is wrong inside, nothing."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, UserError):
        return Refusal(422, str(error), code="invalid_request")
    logging.getLogger(__name__).error("a request failed", exc_info=error)
    return failed()
