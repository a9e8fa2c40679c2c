"""Celery through the proxy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hybrid.proxy import ProxyServer
from hybrid.testing import StorePair

pytest.importorskip("celery")

from celery.contrib.testing.worker import start_worker

from examples.frameworks.celery_app import add, app


@pytest.fixture
def worker(app_stores: StorePair) -> Iterator[Any]:
    client = app_stores.client(local_timeout_s=2.0, cloud_timeout_s=2.0)
    with ProxyServer(client, port=0) as proxy:
        proxy.start()
        app.conf.update(broker_url=f"{proxy.url}/0", result_backend=f"{proxy.url}/0")
        with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR") as started:
            yield started
        app.pool.force_close_all()


def test_jobs_are_done_without_the_local_store(worker: Any, app_stores: StorePair) -> None:
    assert add.delay(2, 3).get(timeout=20) == 5
    app_stores.local.cut()
    assert add.delay(3, 4).get(timeout=20) == 7
    app_stores.heal()
