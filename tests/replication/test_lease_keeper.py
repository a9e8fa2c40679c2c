"""The lease is kept for a shipper that works, however slowly, and not for one that is stuck."""

from __future__ import annotations

import pytest
from servers import Pool, client, wait_until

from hybrid import HybridRedis, Store
from hybrid.core.names import Names
from hybrid.replication import lease_keeper
from hybrid.replication.lease import Lease
from hybrid.replication.lease_keeper import LeaseKeeper
from hybrid.replication.stream import Stream
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.processes import ServerProcess

KEY = b"hybrid:lease"
TERM_S = 0.4


def test_a_lease_without_a_sign_of_life_runs_out(valkey: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_keeper, "STUCK_S", 0.2)
    monkeypatch.setitem(lease_keeper.RENEW_S, Store.LOCAL, 0.05)
    endpoint = Endpoint(Store.LOCAL, valkey.url or "", Names(), timeout_s=2.0)
    lease = Lease(Store.LOCAL, KEY, "somebody", term_s=TERM_S)
    stuck: list[float] = []
    wire = endpoint.connect_raw()
    assert lease.acquired(wire.exchange(lease.acquire(), 1)[0])
    keeper = LeaseKeeper(endpoint, lease, stuck.append)
    keeper.start()
    with client(valkey.url) as server:
        assert lease.goes_on()
        wait_until(lambda: stuck, "it is given up")
        assert stuck[0] > 0.2
        wait_until(lambda: not server.exists(KEY), "the lease runs out")
    assert not lease.goes_on()
    keeper.stop()
    keeper.join()
    wire.disconnect()


def test_another_process_takes_over_from_a_shipper_that_is_stuck(
    server_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread hangs, its process and the lease keeper live on."""
    monkeypatch.setattr(lease_keeper, "STUCK_S", 1.5)
    local, cloud = (server_pool.get("valkey", role) for role in ("local", "cloud"))
    with HybridRedis.from_urls(local.url, cloud.url) as first:
        first.set("k", 1)
        assert first.wait_in_sync(10.0)
        wait_until(lambda: first.status().shipping_here, "it ships")
        keep_going, mine = Stream.keep_going, first._board
        released: list[bool] = []

        def hang(stream: Stream) -> None:
            if stream.board is mine and not released:
                wait_until(lambda: released, "the end of the test", 30.0)
            keep_going(stream)

        monkeypatch.setattr(Stream, "keep_going", hang)
        with HybridRedis.from_urls(local.url, cloud.url) as second:
            wait_until(lambda: first.status().shipper_stuck, "it is seen to be stuck")
            assert not first.status().shipping_here
            second.set("k", 2)
            assert second.wait_in_sync(10.0)
            assert second.status().shipping_here
            released.append(True)
            wait_until(lambda: not first.status().shipper_stuck, "it works again")
