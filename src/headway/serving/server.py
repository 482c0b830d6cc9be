"""The server: loads its models while it already answers, loads them anew on SIGHUP, stops when told to."""

import asyncio
import logging
import re
import signal
import socket
import sys
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from headway.api import load
from headway.errors import UserError
from headway.run_folder import RunFolder
from headway.serving.app import build_app
from headway.serving.models import Models, Served
from headway.serving.scheduler import Scheduler
from headway.serving.settings import ServingConfig

LOOK_EVERY = 5.0
"""Seconds between looks at runs that have no model yet."""
LONGEST_STEP = 10.0
"""Seconds that a stop waits for what is being computed."""


@dataclass(frozen=True)
class Place:
    """A folder to serve, and what it is called."""

    name: str
    folder: Path

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.folder)

    @property
    def has_model(self) -> bool:
        return not self.run.exists or self.run.is_finished


def places_of(things: Sequence[str]) -> list[Place]:
    """Folders as typed: FOLDER, called as its last part, or NAME=FOLDER. Raises UserError for others."""
    found: list[Place] = []
    for thing in things:
        name, equals, path = thing.partition("=")
        named = bool(equals) and not Path(thing).exists()
        folder = Path(path if named else thing)
        if not folder.is_dir():
            raise UserError(f"{folder}: there is no such model or run folder")
        whole = folder.resolve()
        plain = name if named else whole.parent.name if whole.name == "model" else whole.name
        if not re.fullmatch(r"[\w.@+-]{1,100}", plain):
            raise UserError(f"{plain!r} is no name for a model: use letters, digits and . _ - + @")
        if any(each.name == plain for each in found):
            raise UserError(f"two models are called {plain!r}: write NAME=FOLDER to call one otherwise")
        found.append(Place(plain, folder))
    return found


class Announced(uvicorn.Server):
    """A server that says where it answers."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            print(f"headway: serving on http://{shown}:{port}", file=sys.stderr, flush=True)


class Service:
    """The models of a server through its life."""

    def __init__(self, places: Sequence[Place], settings: ServingConfig, device: str = "auto") -> None:
        self.places, self.settings, self.device = places, settings, device
        self.models = Models()
        self.models.runs = {each.name: each.folder for each in places if each.run.exists}
        self.app = build_app(self.models, settings, self._life)
        self.failure: Exception | None = None
        """Why the server cannot begin."""
        self.server: uvicorn.Server | None = None
        self._loading = asyncio.Lock()

    def serve(self) -> None:
        """Answer until told to stop. Raises UserError if a model cannot be loaded."""
        config = uvicorn.Config(
            self.app,
            host=self.settings.host,
            port=self.settings.port,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=int(self.settings.timeout) + 1,
        )
        self.server = Announced(config)
        self.server.run()
        if self.failure is not None:
            raise self.failure

    async def load(self) -> None:
        """Load all models there are, and let them take the place of those before, whose requests go on.

        Raises UserError, and leaves everything as it is, if one cannot be loaded.
        """
        async with self._loading:
            ready = [each for each in self.places if each.has_model]
            loaded = {each.name: await asyncio.to_thread(self._load, each) for each in ready}
            self.models.put(loaded)

    def _load(self, place: Place) -> Served:
        pipeline = load(place.folder, device=self.device)
        batch, queue = self.settings.batch_tokens, self.settings.queue
        scheduler = Scheduler(pipeline.ensemble, batch, queue, place.name)
        served = Served(place.name, pipeline, scheduler)
        # Whoever still answers with it holds it; then its thread ends, and its memory is free.
        weakref.finalize(served, scheduler.close)
        return served

    @asynccontextmanager
    async def _life(self, app: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        tasks = {loop.create_task(self._begin())}

        def reload() -> None:
            task = loop.create_task(self._reload())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        with suppress(NotImplementedError, RuntimeError, AttributeError):  # another system, or another thread
            loop.add_signal_handler(signal.SIGHUP, reload)
        try:
            yield
        finally:
            for task in list(tasks):
                task.cancel()
            for served in self.models.all:
                served.scheduler.close(at_once=True)
            for served in self.models.all:  # a thread that still computes must not see the process end
                await asyncio.to_thread(served.scheduler.join, LONGEST_STEP)

    async def _begin(self) -> None:
        try:
            await self.load()
        except Exception as error:
            self.failure = error
            if self.server is not None:
                self.server.should_exit = True
            return
        while waiting := [each for each in self.places if not each.has_model]:
            await asyncio.sleep(LOOK_EVERY)
            if any(each.has_model for each in waiting):
                await self._reload()

    async def _reload(self) -> None:
        try:
            await self.load()
            logging.getLogger(__name__).warning(
                "models loaded anew: %s", ", ".join(each.name for each in self.models.all) or "none"
            )
        except Exception as error:
            logging.getLogger(__name__).error("the models stay as they are: %s", error)
