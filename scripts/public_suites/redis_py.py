"""pytest plugin for redis-py's own suite: its fixtures give HybridRedis, and both stores are compared after each test.

With `HYBRID_SUITE_PLAIN` set redis.Redis stays, and nothing is compared: what fails then is the server's.
"""

from __future__ import annotations

import inspect
import os
import sys
import tracemalloc
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
import redis

from hybrid import HybridRedis
from hybrid.ops.compare import compare
from scripts.public_suites.expected import EXPECTED, MAY_PASS, NOT_RUN

LOCAL_URL, CLOUD_URL = os.environ["HYBRID_SUITE_STORES"].split()
PLAIN = bool(os.environ.get("HYBRID_SUITE_PLAIN"))
PATIENT = {"local_timeout_s": 5.0, "cloud_timeout_s": 5.0}
SYNC_S = 20.0

REASONS = {} if PLAIN else {node: reason for reason, nodes in EXPECTED.items() for node in nodes}
FAILED = pytest.StashKey[bool]()

_open: dict[str, HybridRedis] = {}


def pytest_configure() -> None:
    tracemalloc.start = lambda *_: None  # a fixture traces every test, which makes them several times slower
    conftest: Any = sys.modules["tests.conftest"]
    if not PLAIN:
        conftest._get_client = hybrid_in_place_of(conftest._get_client)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is asyncio's among the tests of the other client is left out, and what NOT_RUN tells."""
    kept = [
        item
        for item in items
        if not inspect.iscoroutinefunction(getattr(item, "obj", None)) and reason_of(item) not in NOT_RUN
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def hybrid_in_place_of(original: Callable[..., Any]) -> Callable[..., Any]:
    """redis-py's helper that opens a client for a test, with ours where it would give a plain redis.Redis."""

    def get_client(
        cls: Any,
        request: Any,
        single_connection_client: bool = True,
        flushdb: bool = True,
        from_url: str | None = None,
        **options: Any,
    ) -> Any:
        if cls is not redis.Redis or options.get("ssl") or from_url not in (None, LOCAL_URL):
            return original(cls, request, single_connection_client, flushdb, from_url, **options)
        options.setdefault("protocol", int(request.config.getoption("--protocol")))
        return opened(options)

    return get_client


def opened(options: dict[str, Any]) -> HybridRedis:
    """A client with these options; one of each kind serves all tests."""
    name = repr(sorted(options.items()))
    if name not in _open:
        _open[name] = HybridRedis.from_urls(LOCAL_URL, CLOUD_URL, **{**PATIENT, **options})
    return _open[name].client()


@pytest.fixture(autouse=True)
def both_stores_are_identical() -> Iterator[None]:
    yield
    if not _open:
        return
    hybrid = next(iter(_open.values()))
    try:
        compared(hybrid)
    finally:
        hybrid.flushdb()


def compared(hybrid: HybridRedis) -> None:
    """Everything written is on both stores, or the test fails."""
    assert hybrid.wait_in_sync(SYNC_S), hybrid.status()
    with redis.Redis.from_url(LOCAL_URL) as local, redis.Redis.from_url(CLOUD_URL) as cloud:
        found = compare(local, cloud)
    assert found.identical, found.differences[:5]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that is listed may fail in any phase, and must."""
    report = yield
    reason = reason_of(item)
    if reason is None:
        return report
    if report.failed:
        item.stash[FAILED] = True
        report.outcome, report.wasxfail = "skipped", reason
    elif report.when == "teardown" and not item.stash.get(FAILED, False) and reason not in MAY_PASS:
        report.outcome, report.longrepr = "failed", f"listed as failing, and passes: {reason}"
    return report


def reason_of(item: pytest.Item) -> str | None:
    """Why this test is expected to fail; None when it is not."""
    node = item.nodeid.removeprefix("tests/").removeprefix("test_asyncio/")  # the same names for the same things
    return REASONS.get(node) or REASONS.get(node.partition("[")[0])


def pytest_unconfigure() -> None:
    for client in _open.values():
        client.close()
