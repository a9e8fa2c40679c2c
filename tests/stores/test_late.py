"""What was sent over a connection that was given up does not arrive later."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from rig import HEAL_S, state_of
from servers import Stores, client, wait_until

from hybrid import HybridRedis, Store, StoreState
from hybrid.core.names import Names
from hybrid.core.outcomes import ReplyLost
from hybrid.core.resp import pack
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.link import Link

pytestmark = pytest.mark.parametrize("stores", ["valkey"], indirect=True)


def is_alone(link: Link, connection: redis.Redis) -> Callable[[], bool]:
    """Whether the link holds no connection any more but this one, which was opened after the others."""
    connection.ping()
    return lambda: link.state.connections == 1


def turn(link: Link) -> None:
    """Let the link hear of the reset, which is there already: a loop reads it in one turn, and is told in the next."""
    for _ in range(3):
        assert link.state.faults.hang


def test_of_a_request_without_an_answer(linked_stores: tuple[Stores, Link]) -> None:
    _, link = linked_stores
    wire = Endpoint(Store.CLOUD, link.url, Names(), timeout_s=0.05).connect_raw()
    link.apply(hang=True)
    with pytest.raises(ReplyLost):
        wire.exchange(pack(("SET", "late", "1")), 1)
    turn(link)
    link.heal()
    with client(link.url) as connection:
        wait_until(is_alone(link, connection), "the connection is gone", HEAL_S)
        assert not connection.exists("late")


def test_of_what_was_shipped_to_a_store_that_is_given_up(linked_stores: tuple[Stores, Link]) -> None:
    """Somebody else may have written there meanwhile."""
    stores, link = linked_stores
    with HybridRedis.from_urls(stores.local.url or "", link.url, ack="local", cloud_timeout_s=0.1) as hybrid:
        hybrid.set("k", "before")
        assert hybrid.wait_in_sync(HEAL_S)
        link.apply(hang=True)
        sent = link.state.bytes_to_store
        hybrid.set("k", "late")
        wait_until(lambda: state_of(hybrid, Store.CLOUD) is StoreState.DOWN, "the cloud store is given up", HEAL_S)
    assert link.state.bytes_to_store == sent, "it waits in the link"
    with client(stores.cloud.url) as cloud, client(link.url) as connection:
        cloud.set("k", "newer")
        turn(link)
        link.heal()
        wait_until(is_alone(link, connection), "the connections are gone", HEAL_S)
        assert cloud.get("k") == b"newer"
