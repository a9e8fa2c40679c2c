"""A cloud store that speaks TLS, behind a link: the whole client works, and what cannot be trusted is sent nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from certificates import Certificate, CertificateAuthority
from rig import HEAL_S, PATIENT, is_well
from servers import client, wait_until

from hybrid import HybridRedis, Store, StoreState
from hybrid.aio import HybridRedis as AsyncRedis
from hybrid.events import Event, StoreDown
from hybrid.observe.alert_readings import certificate_days
from hybrid.ops.compare import compare
from hybrid.ops.first_run import check_url
from hybrid.stores.link import Link
from hybrid.stores.ports import free_port
from hybrid.stores.processes import ServerProcess

ROUND_TRIP_S = 0.01
HERE = ("DNS:localhost", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def good(authority: CertificateAuthority) -> Certificate:
    return authority.issue(*HERE, days=9)


@dataclass
class Pair:
    """A plain local store, and a cloud store that is reached by TLS through a link at `cloud_url`; tests look into
    it at its other, plain, port."""

    local: ServerProcess
    cloud: ServerProcess
    cloud_url: str


@pytest.fixture
def pair(server: Callable[..., ServerProcess]) -> Iterator[Callable[[Certificate], Pair]]:
    links: list[Link] = []

    def make(certificate: Certificate) -> Pair:
        port = free_port()
        cloud = server("redis", persistent=True, tls_port=str(port), **certificate.server_options)
        links.append(Link("127.0.0.1", port, round_trip_s=ROUND_TRIP_S).start())
        return Pair(server(persistent=True), cloud, f"rediss://localhost:{links[-1].port}")

    yield make
    for link in links:
        link.close()


def assert_equal(pair: Pair) -> None:
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        found = compare(local, cloud)
    assert found.identical and found.local_keys, found.differences


def test_the_whole_client(pair: Callable[..., Pair], good: Certificate, authority: CertificateAuthority) -> None:
    stores = pair(good)
    with HybridRedis.from_urls(
        stores.local.url, stores.cloud_url, ack="both", ssl_ca_certs=str(authority.path), **PATIENT
    ) as hybrid:
        assert hybrid.wait_in_sync(HEAL_S), "connecting takes its time on a busy machine"
        hybrid.set("small", 1)
        hybrid.set("large", b"x" * 3_000_000)
        hybrid.pipeline().incr("n").rpush("list", *range(1000)).execute()
        with client(stores.cloud.url) as cloud:
            assert cloud.get("n") == b"1", "ack=both: it is on the cloud store"
        days = certificate_days(hybrid._engine, Store.CLOUD)
        assert days is not None and 8 < days <= 9
        stores.local.kill()
        assert hybrid.incr("n") == 2
        assert hybrid.strlen("large") == 3_000_000
        assert hybrid.status().authority is Store.CLOUD
        stores.local.start()
        wait_until(lambda: is_well(hybrid.status()), "the way back", HEAL_S)
        assert hybrid.incr("n") == 3
        assert hybrid.wait_in_sync(HEAL_S)
    assert_equal(stores)


def test_the_asyncio_client(pair: Callable[..., Pair], good: Certificate, authority: CertificateAuthority) -> None:
    stores = pair(good)

    async def run() -> None:
        async with AsyncRedis.from_urls(
            stores.local.url, stores.cloud_url, ack="both", ssl_ca_certs=str(authority.path), **PATIENT
        ) as hybrid:
            await asyncio.gather(*(hybrid.incr("n") for _ in range(200)))
            await hybrid.set("large", b"x" * 3_000_000)
            assert await hybrid.wait_in_sync(HEAL_S)
            stores.local.kill()
            assert await hybrid.incr("n") == 201
            assert await hybrid.strlen("large") == 3_000_000
            stores.local.start()
            assert await hybrid.wait_in_sync(HEAL_S)

    asyncio.run(run())
    assert_equal(stores)


def test_everything_in_the_url(pair: Callable[..., Pair], good: Certificate, authority: CertificateAuthority) -> None:
    stores = pair(good)
    url = f"{stores.cloud_url}?ssl_ca_certs={authority.path}&ssl_check_hostname=true"
    with HybridRedis.from_urls(stores.local.url, url, ack="both", **PATIENT) as hybrid:
        hybrid.set("k", "v")
        assert hybrid.wait_in_sync(HEAL_S)
        with client(stores.cloud.url) as cloud:
            assert cloud.get("k") == b"v"
    found = check_url(Store.CLOUD, url)
    assert found.usable and found.software.startswith("Redis")


EXPIRED_DAYS = -1


@pytest.mark.parametrize(
    ("names", "days", "trusted", "reason"),
    [
        (HERE, 30, False, "its certificate is not from an authority that is trusted here"),
        (("DNS:elsewhere.example",), 30, True, "its certificate is for another name"),
        (HERE, EXPIRED_DAYS, True, "its certificate has expired"),
    ],
    ids=["of-a-stranger", "for-another-name", "expired"],
)
def test_a_certificate_that_is_not_good(
    pair: Callable[..., Pair],
    authority: CertificateAuthority,
    names: tuple[str, ...],
    days: int,
    trusted: bool,
    reason: str,
) -> None:
    """It is told in one sentence, the other store serves, and not one key was sent."""
    stores = pair(authority.issue(*names, days=days))
    options = {"ssl_ca_certs": str(authority.path)} if trusted else {}
    told: list[Event] = []
    with HybridRedis.from_urls(stores.local.url, stores.cloud_url, hooks=(told.append,), **options) as hybrid:
        assert hybrid.set("k", "v")

        def said() -> tuple[StoreState, str] | None:
            cloud = hybrid.status().cloud
            return cloud and (cloud.state, cloud.reason)

        # On a busy machine the client waits no longer for a first word of the store than it has to.
        wait_until(lambda: said() == (StoreState.DOWN, reason), "that to be told", HEAL_S)
    assert any(isinstance(event, StoreDown) for event in told)
    with client(stores.cloud.url) as cloud:
        assert cloud.keys() == []
    query = f"?ssl_ca_certs={authority.path}" if trusted else ""
    assert check_url(Store.CLOUD, stores.cloud_url + query).problem.startswith(f"{reason}: ")


def test_a_file_that_is_not_there(valkey: ServerProcess, tmp_path: Path) -> None:
    found = check_url(Store.CLOUD, f"rediss://localhost:{valkey.port}?ssl_ca_certs={tmp_path}/none.crt")
    assert found.problem.startswith("a file that its URL names is not there: ")


def test_what_asyncio_tasks_asked_is_asked_elsewhere_when_the_store_dies(
    pair: Callable[..., Pair], good: Certificate, authority: CertificateAuthority
) -> None:
    stores = pair(good)

    async def read() -> None:
        async with AsyncRedis.from_urls(
            stores.local.url,
            stores.cloud_url,
            ack="both",
            read_preference="cloud",
            ssl_ca_certs=str(authority.path),
            **PATIENT,
        ) as hybrid:
            assert await hybrid.wait_in_sync(HEAL_S)
            await hybrid.set("k", "v")
            await hybrid.get("k")  # over a connection that is kept
            reads = [asyncio.create_task(hybrid.get("k")) for _ in range(50)]
            await asyncio.sleep(0)
            stores.cloud.kill()
            assert await asyncio.wait_for(asyncio.gather(*reads), HEAL_S) == [b"v"] * 50

    asyncio.run(read())
