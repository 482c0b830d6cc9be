"""The models that are served, by name."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from headway.api import Pipeline
from headway.bundle import Bundle
from headway.serving.refusal import Refusal
from headway.serving.scheduler import Scheduler


@dataclass
class Served:
    """A model at work: its one thread computes for all who ask."""

    name: str
    pipeline: Pipeline
    scheduler: Scheduler
    viewing: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever looks into the model."""
    since: float = field(default_factory=time.time)
    """When it was loaded, in seconds since 1970."""

    @property
    def bundle(self) -> Bundle:
        return self.pipeline.bundle


class Models:
    """The models of a server, and the run folders that it watches."""

    def __init__(self) -> None:
        self.loading = True
        self.runs: dict[str, Path] = {}
        self._served: dict[str, Served] = {}

    @property
    def all(self) -> list[Served]:
        return list(self._served.values())

    def put(self, served: dict[str, Served]) -> list[Served]:
        """These instead of those before, which are returned: their requests go on to their end."""
        before, self._served = self.all, served
        self.loading = False
        return [each for each in before if each not in self.all]

    def refuse_while_loading(self) -> None:
        """Raises Refusal (503) until the models are there."""
        if self.loading:
            raise Refusal(503, "the models are being loaded", code="loading", retry_after=2)

    def named(self, name: str | None, suits: Callable[[Served], bool] = lambda each: True) -> Served:
        """The model of that name, or without a name the first that suits.

        Raises Refusal: 503 while models are being loaded, 404 where there is no such one.
        """
        self.refuse_while_loading()
        if name is None:
            found = next((each for each in self.all if suits(each)), None)
        else:
            found = self._served.get(name)
        if found is None:
            known = ", ".join(self._served) or "none yet"
            message = f"there is no such model here; the models are: {known}"
            raise Refusal(404, message, field="model", code="model_not_found")
        return found
