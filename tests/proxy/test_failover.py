"""A store is lost while clients work through the proxy: they see no error, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import redis
from client.rig import assert_equal
from proxy.conftest import Open
from servers import Stores, client, wait_until

from hybrid.stores.processes import ServerProcess
from hybrid.types import Health, Store

SOON = {"local_timeout_s": 0.5}


class Traffic(threading.Thread):
    """A client that writes, reads and pipelines until it is stopped; `errors` is what it was told, or what it read
    in place of its own writes. With `forgiving`, it may read older values: what only the lost store had."""

    def __init__(self, url: str, name: str, *, forgiving: bool) -> None:
        super().__init__(daemon=True)
        self._forgiving = forgiving
        self.label, self.rounds, self.stopped = name, 0, threading.Event()
        self.errors: list[str] = []
        self._url = url

    def run(self) -> None:
        with client(self._url, timeout_s=20, decode_responses=True) as r:
            while not self.stopped.is_set():
                try:
                    self._round(r)
                except (redis.RedisError, AssertionError) as error:
                    self.errors.append(repr(error))
                    return

    def _round(self, r: redis.Redis) -> None:
        key, value = f"{self.label}:{self.rounds % 50}", str(self.rounds)
        r.set(key, value)
        found = r.get(key)
        assert found == value or self._forgiving, f"{found} in place of {value}"
        with r.pipeline(transaction=False) as pipeline:
            for number in range(10):
                pipeline.hset(f"{self.label}:h", str(number), value)
            pipeline.hget(f"{self.label}:h", "3")
            assert pipeline.execute()[-1] == value
        with r.pipeline() as pipeline:
            assert pipeline.set(key, value).get(key).execute() == [True, value]
        self.rounds += 1


@pytest.mark.parametrize("ack", ["local", "both"])
def test_the_local_store_dies_under_load(open_proxy: Open, stores: Stores, ack: str) -> None:
    server = open_proxy(ack=ack, **SOON)
    clients = [Traffic(server.url, name, forgiving=ack == "local") for name in ("a", "b", "c")]
    for each in clients:
        each.start()
    wait_until(lambda: all(each.rounds > 10 for each in clients), "traffic")
    stores.local.kill()
    wait_until(lambda: server.client.status().authority is Store.CLOUD, "the failover")
    after = [each.rounds for each in clients]
    wait_until(
        lambda: all(each.rounds > rounds + 10 for each, rounds in zip(clients, after, strict=True)), "traffic after"
    )
    stores.local.start()
    wait_until(lambda: server.client.status().authority is Store.LOCAL, "the failback", 30)
    back = [each.rounds for each in clients]
    wait_until(
        lambda: all(each.rounds > rounds + 10 for each, rounds in zip(clients, back, strict=True)), "traffic back"
    )
    for each in clients:
        each.stopped.set()
        each.join()
    assert [each.errors for each in clients] == [[], [], []]
    wait_until(lambda: server.client.status().health is Health.HEALTHY, "health", 30)
    assert_equal(server.client, stores)


@pytest.fixture
def stores_that_keep(server: Callable[..., ServerProcess]) -> Stores:
    """Servers that have their data when they return."""
    return Stores(server(persistent=True), server(persistent=True))


def test_with_both_stores_down_the_reply_is_an_error_and_the_connection_lives(
    open_proxy: Open, stores_that_keep: Stores
) -> None:
    stores = stores_that_keep
    server = open_proxy(stores=stores, **SOON)
    with client(server.url, decode_responses=True) as r:
        r.set("k", "v")
        stores.cloud.kill()
        wait_until(lambda: server.client.status().health is Health.DEGRADED, "the loss of the cloud")
        stores.local.kill()
        with pytest.raises(redis.RedisError, match="no store"):
            r.get("k")
        with pytest.raises(redis.RedisError, match="no store"):
            r.set("k", "w")
        with pytest.raises(redis.RedisError, match="no store"):
            r.blpop("l", 1)
        with r.pipeline(transaction=False) as pipeline:
            found = pipeline.get("k").set("k", "x").publish("c", "m").execute(raise_on_error=False)
        assert ["no store" in str(error) for error in found] == [True] * 3
        assert r.ping()
        stores.local.start()
        stores.cloud.start()
        wait_until(lambda: not isinstance(_tried(r), Exception), "the stores", 30)
        assert r.get("k") == "v"


def _tried(r: redis.Redis) -> object:
    try:
        return r.set("tried", 1)
    except redis.RedisError as error:
        return error
