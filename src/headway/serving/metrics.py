"""Figures of the server for Prometheus, at /metrics."""

import time
from collections.abc import Iterable

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headway.serving.models import Models

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class OfModels(Collector):
    """What the models' schedulers have done, read when asked for."""

    def __init__(self, models: Models) -> None:
        self.models = models

    def collect(self) -> Iterable[Metric]:
        gauges = {
            "waiting": ("Texts that nothing is computed for yet.", lambda each: each.scheduler.waiting),
            "rows": ("Rows of the running batch.", lambda each: each.scheduler.rows),
        }
        counters = {
            "steps": ("Steps of the running batch.", lambda each: each.scheduler.counts.steps),
            "step_rows": ("Rows of all steps together.", lambda each: each.scheduler.counts.rows),
            "passes": (
                "Passes for filling, scoring and embedding.",
                lambda each: each.scheduler.counts.passes,
            ),
            "tokens": ("Tokens of what was found.", lambda each: each.scheduler.counts.tokens),
        }
        for name, (text, value) in gauges.items():
            gauge = GaugeMetricFamily(f"headway_{name}", text, labels=["model"])
            for each in self.models.all:
                gauge.add_metric([each.name], value(each))  # type: ignore[no-untyped-call]
            yield gauge
        for name, (text, value) in counters.items():
            counter = CounterMetricFamily(f"headway_{name}", text, labels=["model"])
            for each in self.models.all:
                counter.add_metric([each.name], value(each))  # type: ignore[no-untyped-call]
            yield counter


class Metrics:
    """Counts and times the requests that pass through it."""

    def __init__(self, models: Models) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(OfModels(models))
        self.requests = Counter(
            "headway_requests", "Answered requests.", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "headway_request_seconds",
            "From a request's first byte to its answer's last.",
            ["path"],
            buckets=BUCKETS,
            registry=self.registry,
        )

    def router(self) -> APIRouter:
        router = APIRouter(tags=["the server"])

        @router.get("/metrics", response_class=Response)
        async def metrics(request: Request) -> Response:
            """Figures of the server, as Prometheus reads them."""
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

        return router


class Counted:
    """An app whose requests are counted."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_counted)
        finally:
            # What is asked for is told by its route: names that anybody can think up would fill the memory.
            path = getattr(scope.get("route"), "path", "") or "other"
            self.metrics.requests.labels(path, str(status)).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - start)
