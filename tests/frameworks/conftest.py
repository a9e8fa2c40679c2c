"""Two stores for applications of real frameworks, which find them in the environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hybrid.shared import close_shared
from hybrid.testing import StorePair, two_stores


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorePair]:
    with two_stores(tmp_path_factory.mktemp("frameworks"), persistent=False) as stores:
        yield stores


@pytest.fixture
def app_stores(pair: StorePair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StorePair]:
    """Empty stores that are a pair already: of one that becomes it only now the cloud store could not take over yet. At
    the end of the test both must hold the same."""
    pair.empty()
    pair.wait_healthy()
    pair.close_clients()
    monkeypatch.chdir(tmp_path)  # no .env
    patient = {"REDIS_LOCAL_TIMEOUT": "2", "REDIS_CLOUD_TIMEOUT": "2"}
    for name, value in {**pair.environ, **patient}.items():
        monkeypatch.setenv(name, value)
    yield pair
    try:
        pair.assert_identical()
    finally:
        close_shared()
        pair.close_clients()
