"""A trial of each kind, which tests do not change."""

import pytest

from headway.preflight.trial import Trial
from tests.preflight.starts import TINY, tiny_trial


@pytest.fixture(scope="session")
def trials(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trial]:
    return {kind: tiny_trial(kind, tmp_path_factory.mktemp(kind)) for kind in TINY}
