"""Flask over two stores: Flask-Session, Flask-Caching and Flask-Limiter in one application."""

from __future__ import annotations

import os
from typing import Any

import pytest

from hybrid import HybridRedis
from hybrid.shared import shared
from hybrid.testing import StorePair

flask = pytest.importorskip("flask")


@pytest.fixture
def app(app_stores: StorePair) -> Any:
    from examples.frameworks.flask_app import make_app

    assert os.environ["REDIS_URL"] == app_stores.local.url
    return make_app()


def test_sessions_cache_and_limits(app: Any, app_stores: StorePair) -> None:
    browser = app.test_client()
    assert browser.get("/visits").text == "1"
    assert browser.get("/visits").text == "2"
    assert app.test_client().get("/visits").text == "1", "another browser has a session of its own"
    first = browser.get("/slow").text
    assert browser.get("/slow").text == first, "cached"
    codes = [browser.get("/limited").status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]


def test_all_of_it_goes_on_without_the_local_store(app: Any, app_stores: StorePair) -> None:
    browser = app.test_client()
    browser.get("/visits")
    slow = browser.get("/slow").text
    assert [browser.get("/limited").status_code for _ in range(2)] == [200, 200]
    assert shared().wait_in_sync(5)
    app_stores.local.cut()
    assert browser.get("/visits").text == "2"
    assert browser.get("/slow").text == slow
    assert [browser.get("/limited").status_code for _ in range(2)] == [200, 429], "the count came along"
    app_stores.heal()


def test_a_session_is_on_both_stores(app: Any, app_stores: StorePair) -> None:
    app.test_client().get("/visits")
    client: HybridRedis = shared()
    assert client.wait_in_sync(5)
    with app_stores.cloud.direct() as cloud:
        assert cloud.keys("session:*")
