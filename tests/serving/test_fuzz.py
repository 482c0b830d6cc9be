"""Schemathesis makes requests up from the description: never a 500, and every answer is as described."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from tests.serving.live import Live

PATHS = [
    ("GET", "/api/models"),
    ("GET", "/api/runs/{name}"),
    ("GET", "/frontend/settings"),
    ("GET", "/health"),
    ("GET", "/languages"),
    ("GET", "/metrics"),
    ("GET", "/positions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{name}"),
    ("POST", "/api/next"),
    ("POST", "/api/predict"),
    ("POST", "/api/stream"),
    ("POST", "/attention"),
    ("POST", "/attention/summary"),
    ("POST", "/fill-mask"),
    ("POST", "/guesses"),
    ("POST", "/masks"),
    ("POST", "/score"),
    ("POST", "/search-tree"),
    ("POST", "/single-file"),
    ("POST", "/tokenize"),
    ("POST", "/translate"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
]


@contextmanager
def library() -> Iterator[Any]:
    """Schemathesis, whose dependencies warn of one another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import schemathesis

        yield schemathesis


def fuzz(live: Live, method: str, path: str, examples: int) -> None:
    """So many requests that fit the description, and as many that do not."""
    with library() as schemathesis:
        from schemathesis.checks import not_a_server_error
        from schemathesis.specs.openapi import checks

        schema = schemathesis.openapi.from_dict(live.client.get("/openapi.json").json())
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            strategy = schema[path][method].as_strategy(generation_mode=mode)

            @settings(
                max_examples=examples,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(strategy)
            def run(case: Any) -> None:
                case.call_and_validate(
                    base_url=live.url,
                    checks=[
                        not_a_server_error,
                        checks.status_code_conformance,
                        checks.content_type_conformance,
                        checks.response_schema_conformance,
                    ],
                )

            try:
                run()
            except Unsatisfiable:  # what takes nothing cannot be asked wrongly
                assert mode is schemathesis.GenerationMode.NEGATIVE


def test_every_path_is_described(live: Live) -> None:
    described = live.client.get("/openapi.json").json()["paths"]
    assert sorted((m.upper(), path) for path, methods in described.items() for m in methods) == PATHS


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_made_up_requests(live: Live, method: str, path: str) -> None:
    fuzz(live, method, path, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), PATHS)
def test_many_made_up_requests(live: Live, method: str, path: str) -> None:
    fuzz(live, method, path, 60)
