"""What all plugins use, itself one: clients on the two stores of this run, the comparison after each test, and which
tests may fail."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
import redis

from hybrid import HybridRedis, Settings
from hybrid.ops.compare import compare
from scripts.public_suites.expected import EXPECTED, MAY_PASS, NOT_RUN
from scripts.public_suites.suites import SUITES

__all__ = [
    "CLOUD_URL",
    "LOCAL_URL",
    "PATIENT",
    "PLAIN",
    "Client",
    "compared",
    "leave_out",
    "opened",
    "stores_of",
    "urls",
]

LOCAL_URL, CLOUD_URL = os.environ["HYBRID_SUITE_STORES"].split()
PLAIN = bool(os.environ.get("HYBRID_SUITE_PLAIN"))
PATIENT = {"local_timeout_s": 5.0, "cloud_timeout_s": 5.0}
SYNC_S = 20.0

LISTS = () if PLAIN else SUITES[os.environ["HYBRID_SUITE"]].expected
REASONS = {test: reason for name in LISTS for reason, tests in EXPECTED[name].items() for test in tests}
FAILED = pytest.StashKey[bool]()

_open: dict[str, Client] = {}


class Client(HybridRedis):
    """A client that compares both stores before it removes what a test has written; opened on a pool, it knows the
    cloud store's database too."""

    def __init__(self, settings: Settings | None = None, *, connection_pool: Any = None, **options: Any) -> None:
        if settings is None:
            settings = stores_of(connection_pool.connection_kwargs.get("db") or 0)
        super().__init__(settings, **options)

    def flushdb(self, asynchronous: bool = False, **options: Any) -> Any:
        compared(self)
        return super().flushdb(asynchronous, **options)

    def flushall(self, asynchronous: bool = False, **options: Any) -> Any:
        compared(self)
        return super().flushall(asynchronous, **options)


def urls(db: int = 0) -> tuple[str, str]:
    """Database `db` of the local and of the cloud store."""
    return f"{LOCAL_URL.rstrip('/')}/{db}", f"{CLOUD_URL.rstrip('/')}/{db}"


def stores_of(db: int) -> Settings:
    local, cloud = urls(db)
    return Settings(local_url=local, cloud_url=cloud, **PATIENT)  # type: ignore[arg-type]


def opened(options: dict[str, Any], db: int = 0) -> Any:
    """A client with these options; one of each kind serves all tests. A plain one of the local store, if asked for."""
    if PLAIN:
        return redis.Redis.from_url(urls(db)[0], **options)
    name = repr((db, sorted(options.items())))
    if name not in _open:
        _open[name] = Client.from_urls(*urls(db), **{**PATIENT, **options})
    return _open[name].client()


def compared(client: HybridRedis) -> None:
    """Everything written is on both stores, or the test fails. What a worker that outlives its test writes meanwhile is
    looked at again."""
    local, cloud = (redis.Redis.from_url(url or "") for url in (client.settings.local_url, client.settings.cloud_url))
    until_s = time.monotonic() + SYNC_S
    while True:
        assert client.wait_in_sync(SYNC_S), client.status()
        found = compare(local, cloud)
        if found.identical:
            return
        assert time.monotonic() < until_s, found.differences[:5]


@pytest.fixture(autouse=True)
def both_stores_are_identical() -> Iterator[None]:
    yield
    for client in {client.settings.local_url: client for client in _open.values()}.values():
        try:
            compared(client)
        finally:
            HybridRedis.flushdb(client)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_out(config, items, lambda item: reason_of(item) in NOT_RUN)


def leave_out(config: pytest.Config, items: list[pytest.Item], unwanted: Callable[[pytest.Item], bool]) -> None:
    """Run none of the unwanted."""
    config.hook.pytest_deselected(items=[item for item in items if unwanted(item)])
    items[:] = [item for item in items if not unwanted(item)]


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
