"""A wire to a real cluster: it looks like one server, and keeps the order of a key while slots move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from cluster import Cluster

from hybrid.core.authority import FIRST, Authority, Holder
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.errors import CommandRefused
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.pools import pool_of
from hybrid.stores.wire import Wire
from hybrid.types import Store


@pytest.fixture
def endpoint(cluster: Cluster) -> Iterator[Endpoint]:
    opened = Endpoint(Store.CLOUD, cluster.url, Names(), timeout_s=5.0)
    yield opened
    opened.retire()


@pytest.fixture
def wire(endpoint: Endpoint) -> Iterator[Wire]:
    opened = endpoint.connect_raw()
    yield opened
    opened.disconnect()


def ask(wire: Wire, *commands: tuple[Any, ...]) -> list[Any]:
    return wire.exchange(b"".join(map(pack, commands)), len(commands))


def names(count: int) -> list[bytes]:
    return [b"k%d" % number for number in range(count)]


def test_replies_come_in_the_order_of_requests(cluster: Cluster, wire: Wire) -> None:
    keys = names(200)
    assert ask(wire, *(("SET", key, key) for key in keys)) == [b"OK"] * 200
    assert ask(wire, *(("GET", key) for key in keys), ("MGET", *keys), ("DBSIZE",)) == [*keys, keys, 200]
    assert all(node.dbsize() for node in cluster.asked), "every node has some"
    renamed, size = ask(wire, ("RENAME", keys[0], keys[1]), ("EXISTS", *keys, "absent"))
    assert isinstance(renamed, CommandRefused)
    assert size == 200


def test_redis_pys_client_works_over_it(cluster: Cluster) -> None:
    with redis.Redis.from_pool(pool_of(cluster.url, decode_responses=True, protocol=2)) as plain:
        assert plain.mset({"{a}1": "x", "{a}2": "y"})
        plain.set("b", "z")
        assert sorted(plain.scan_iter(count=1)) == ["b", "{a}1", "{a}2"]
        assert plain.pipeline().get("{a}1").get("b").get("absent").execute() == ["x", "z", None]
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            plain.lpush("b", 1)


def test_a_slot_that_moves_loses_no_order(cluster: Cluster, wire: Wire) -> None:
    pushes = [("RPUSH", b"{k}list", number) for number in range(300)]
    assert ask(wire, *pushes[:50])[-1] == 50
    with cluster.moving(b"k"):
        # Old keys are still where they were, new ones are not: both kinds are on their way together.
        counted = ask(wire, *pushes[50:100], *(("INCR", b"{k}new") for _ in range(50)))
        assert counted == [*range(51, 101), *range(1, 51)]
    assert ask(wire, *pushes[100:])[-1] == 300
    assert ask(wire, ("LRANGE", b"{k}list", 0, -1))[0] == [b"%d" % number for number in range(300)]
    assert ask(wire, ("MULTI",), ("INCR", b"{k}new"), ("EXEC",))[-1] == [51]


def test_a_fence_is_not_passed_because_its_slot_moves(cluster: Cluster, endpoint: Endpoint) -> None:
    _, wire = endpoint.take_fenced()
    endpoint.move(wire, FIRST)
    later, last = Authority(Holder.CLOUD, 2), Authority(Holder.LOCAL, 3)
    with cluster.moving(b"hybrid:{hybrid}:authority"):
        pass
    endpoint.move(wire, later)
    assert wire.authority == FIRST, "what it watched is elsewhere now, so nothing was done"
    endpoint.move(wire, last)
    assert wire.authority == last
    _, other = endpoint.take_fenced()
    assert other.authority == last


def test_messages_arrive_through_any_node(cluster: Cluster, wire: Wire) -> None:
    assert ask(wire, ("SUBSCRIBE", "one")) == [[b"subscribe", b"one", 1]]
    for node in cluster.asked:
        node.publish("one", "news")
        assert wire.receive(1)[0] == [b"message", b"one", b"news"]
    wire.send(pack(("PING",)))
    assert wire.receive(1)[0] == [b"pong", b""]


def test_it_is_lost_with_any_node_and_back_with_all(cluster: Cluster, endpoint: Endpoint, wire: Wire) -> None:
    listening = endpoint.connect_raw()
    assert ask(listening, ("SUBSCRIBE", "one"))
    cluster.nodes[1].kill()
    with pytest.raises(ReplyLost):
        ask(wire, *(("GET", key) for key in names(50)))
    with pytest.raises(ReplyLost):
        listening.receive(1)
    with pytest.raises(NotSent, match="connection refused"):
        endpoint.connect_raw()
    cluster.nodes[1].start()
    cluster.wait_well()
    again = endpoint.connect_raw()
    assert ask(again, ("PING",)) == [b"PONG"]
    again.disconnect()
