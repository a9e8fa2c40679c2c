"""FastAPI over two stores, on the asyncio client."""

from __future__ import annotations

import pytest

from hybrid.testing import StorePair

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from examples.frameworks.fastapi_app import make_app


def test_cache_and_rate_limit_go_on_without_either_store(app_stores: StorePair) -> None:
    with TestClient(make_app()) as browser:
        assert browser.get("/users/7").json() == {"number": 7, "loads": 1}
        assert browser.get("/users/7").json() == {"number": 7, "loads": 1}, "cached"
        assert [browser.get("/limited").status_code for _ in range(2)] == [200, 200]
        assert browser.get("/health").json() == "healthy"
        app_stores.local.cut()
        assert browser.get("/users/7").json() == {"number": 7, "loads": 1}
        assert [browser.get("/limited").status_code for _ in range(2)] == [200, 429]
        app_stores.cloud.cut()
        assert browser.get("/users/8").json() == {"number": 8, "loads": 2}, "straight from the source"
        assert browser.get("/health").status_code == 503
        app_stores.heal()
