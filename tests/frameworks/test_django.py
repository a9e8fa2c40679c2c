"""Django over two stores: its own cache backend, django-redis, and sessions."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from servers import wait_until

from hybrid.testing import StorePair

django = pytest.importorskip("django")

from django.conf import settings  # noqa: E402
from django.core.cache import caches  # noqa: E402
from django.test import override_settings  # noqa: E402

OWN = {"BACKEND": "hybrid.frameworks.django.HybridCache", "OPTIONS": {}}
OF_DJANGO_REDIS = {
    "BACKEND": "django_redis.cache.RedisCache",
    "OPTIONS": {"CONNECTION_FACTORY": "hybrid.frameworks.django.ConnectionFactory"},
}


@pytest.fixture(scope="module", autouse=True)
def configured() -> None:
    if not settings.configured:
        settings.configure(SECRET_KEY="for tests", USE_TZ=True)
        django.setup()


@pytest.fixture(params=["own", "django-redis"])
def cache(request: pytest.FixtureRequest, app_stores: StorePair) -> Iterator[Any]:
    chosen = {**(OWN if request.param == "own" else OF_DJANGO_REDIS), "LOCATION": app_stores.local.url}
    with override_settings(CACHES={"default": chosen}, SESSION_ENGINE="django.contrib.sessions.backends.cache"):
        yield caches["default"]


def test_the_cache_keeps_all_its_promises(cache: Any, app_stores: StorePair) -> None:
    cache.set("k", {"a": [1, 2]}, 60)
    assert cache.get("k") == {"a": [1, 2]}
    assert cache.add("k", 1) is False
    assert cache.get_or_set("made", lambda: "here") == "here"
    cache.set_many({"n": 1, "m": 2}, 60)
    assert cache.get_many(["n", "m", "none"]) == {"n": 1, "m": 2}
    assert cache.incr("n", 4) == 5 and cache.decr("n") == 4
    assert cache.touch("k", 120) and "k" in cache
    cache.delete_many(["m"])
    assert cache.get("m") is None
    assert cache.set("versioned", 2, version=2) in (None, True) and cache.get("versioned", version=2) == 2
    app_stores.assert_identical()
    cache.clear()
    assert cache.get("k") is None


def test_it_goes_on_without_the_local_store(cache: Any, app_stores: StorePair) -> None:
    cache.set("k", "v", 60)
    app_stores.local.cut()
    assert cache.get("k") == "v"
    cache.set("k", "w", 60)
    assert cache.get("k") == "w"
    app_stores.heal()


def test_a_session_survives_the_loss_of_the_local_store(cache: Any, app_stores: StorePair) -> None:
    from django.contrib.sessions.backends.cache import SessionStore

    session = SessionStore()
    session["user"] = str(uuid.UUID(int=7))
    session.save()
    app_stores.local.cut()
    again = SessionStore(session.session_key)
    assert again["user"] == str(uuid.UUID(int=7))
    again.set_expiry(60)
    again.save()
    again.flush()
    wait_until(lambda: not SessionStore().exists(session.session_key))
    app_stores.heal()


def test_two_urls_in_location(app_stores: StorePair) -> None:
    urls = [app_stores.local.url, app_stores.cloud.url]
    with override_settings(CACHES={"default": {**OWN, "LOCATION": urls}}):
        caches["default"].set("k", 1)
        status = caches["default"]._cache.get_client().status()
    assert status.cloud is not None and status.cloud.address == app_stores.cloud.url
