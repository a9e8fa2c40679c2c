"""What is counted is what the server was asked, command by command."""

from __future__ import annotations

import gc

import pytest
import redis
from servers import client

from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.meter import Meter
from hybrid.stores.pipe import Pipe
from hybrid.stores.pools import metered_pool
from hybrid.stores.processes import ServerProcess
from hybrid.types import Purpose, Store


@pytest.fixture
def endpoint(valkey: ServerProcess) -> Endpoint:
    return Endpoint(Store.LOCAL, valkey.url, Names(), timeout_s=2.0)


def commands(meter: Meter, purpose: Purpose) -> int:
    return meter.totals()[purpose][0]


def test_each_command_of_an_exchange_counts_and_its_bytes(endpoint: Endpoint) -> None:
    wire = endpoint.connect_raw(purpose=Purpose.SYNC)
    before = endpoint.meter.totals()[Purpose.SYNC]
    payload = pack(("SET", "key", "value")) + pack(("GET", "key"))
    assert wire.exchange(payload, 2) == [b"OK", b"value"]
    after = endpoint.meter.totals()[Purpose.SYNC]
    assert [late - early for late, early in zip(after, before, strict=True)] == [
        2,
        len(payload),
        len(b"+OK\r\n$5\r\nvalue\r\n"),
    ]
    wire.disconnect()


def test_a_pipe_counts_what_it_flushes(endpoint: Endpoint) -> None:
    wire = endpoint.connect_raw()
    before = commands(endpoint.meter, Purpose.SHIPPING)
    pipe = Pipe(wire)
    for _ in range(3):
        pipe.push(pack(("PING",)), 1, lambda replies: None)
    assert commands(endpoint.meter, Purpose.SHIPPING) == before, "nothing was sent yet"
    pipe.flush()
    assert commands(endpoint.meter, Purpose.SHIPPING) == before + 3
    wire.disconnect()


def test_what_a_closed_connection_counted_is_kept(endpoint: Endpoint) -> None:
    wire = endpoint.connect_raw(purpose=Purpose.HEALTH)
    wire.exchange(pack(("PING",)), 1)
    counted = commands(endpoint.meter, Purpose.HEALTH)
    wire.disconnect()
    del wire
    gc.collect()
    assert counted
    assert commands(endpoint.meter, Purpose.HEALTH) == counted


def test_a_plain_client_is_counted_as_the_server_counts(valkey: ServerProcess) -> None:
    meter = Meter()
    pool = metered_pool(valkey.url, meter, Purpose.PANEL)
    with client(valkey.url) as looking, redis.Redis.from_pool(pool) as counted:
        counted.ping()
        looking.config_resetstat()
        before = commands(meter, Purpose.PANEL)
        counted.set("key", "value")
        pipeline = counted.pipeline()
        pipeline.get("key")
        pipeline.exists("key")
        pipeline.execute()
        stats = looking.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
    assert [calls[name] for name in ("set", "multi", "get", "exists", "exec")] == [1] * 5
    assert commands(meter, Purpose.PANEL) == before + 5
