"""One server of the three kinds of model for all tests that change nothing about it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.live import Live, serving


@pytest.fixture(scope="session")
def live(tiny_runs: dict[str, Path]) -> Iterator[Live]:
    pairs, causal, masked = (tiny_runs[kind] for kind in ("pairs", "causal", "masked"))
    with serving(f"de-en={pairs}", causal, masked) as found:
        yield found
