"""Channels through the proxy: messages as the store sent them, and subscriptions that survive a failover."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from proxy.conftest import Open
from proxy.rig import Raw, requests
from servers import Stores, client, wait_until

from hybrid.types import Store


def message(pubsub: Any) -> tuple[str, Any, Any]:
    found = pubsub.get_message(timeout=10)
    assert found is not None
    return found["type"], found["channel"], found["data"]


def test_channels_and_patterns(r: redis.Redis) -> None:
    with r.pubsub() as pubsub:
        pubsub.subscribe("a", "b")
        pubsub.psubscribe("p*")
        assert [message(pubsub) for _ in range(3)] == [
            ("subscribe", "a", 1),
            ("subscribe", "b", 2),
            ("psubscribe", "p*", 3),
        ]
        assert sorted(r.pubsub_channels()) == ["a", "b"], "hybrid's own channels are hidden"
        assert (r.publish("a", "1"), r.publish("pp", "2"), r.publish("nobody", "3")) == (1, 1, 0)
        assert [message(pubsub) for _ in range(2)] == [("message", "a", "1"), ("pmessage", "pp", "2")]
        pubsub.unsubscribe("a")
        assert message(pubsub) == ("unsubscribe", "a", 2)
        assert (r.publish("a", "4"), r.publish("b", "5")) == (0, 1)
        assert message(pubsub) == ("message", "b", "5")
        pubsub.unsubscribe()
        pubsub.punsubscribe()
        assert [message(pubsub) for _ in range(2)] == [("unsubscribe", "b", 1), ("punsubscribe", "p*", 0)]
        assert r.publish("b", "6") == 0


def test_in_resp2_a_subscriber_can_do_nothing_else(raw: Raw) -> None:
    raw.send(requests("SUBSCRIBE c", "GET k", "PING", "PING hi", "UNSUBSCRIBE c", "GET k", "UNSUBSCRIBE"))
    assert raw.reply() == b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
    assert raw.reply().startswith(b"-ERR Can't execute 'get': only (P|S)SUBSCRIBE")
    assert raw.reply() == b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
    assert raw.reply() == b"*2\r\n$4\r\npong\r\n$2\r\nhi\r\n"
    assert raw.reply() == b"*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n"
    assert raw.reply() == b"$-1\r\n"
    assert raw.reply() == b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"


def test_in_resp3_a_subscriber_goes_on(raw: Raw) -> None:
    raw.ask("HELLO 3")
    assert raw.ask("SUBSCRIBE c", "SET k v", "GET k") == [
        b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
        b"+OK\r\n",
        b"$1\r\nv\r\n",
    ]
    replies = {*raw.ask("PUBLISH c hello"), raw.reply()}
    assert replies == {b":1\r\n", b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n"}
    assert raw.ask("SSUBSCRIBE s") == [b">3\r\n$10\r\nssubscribe\r\n$1\r\ns\r\n:1\r\n"]
    assert raw.ask("RESET", "GET k") == [b"+RESET\r\n", b"$1\r\nv\r\n"]


def test_a_subscriber_who_leaves_is_forgotten_by_the_store(open_proxy: Open, stores: Stores) -> None:
    with Raw(open_proxy().address) as other:
        other.ask("SUBSCRIBE channel")
        with client(stores.local.url) as local:
            assert local.pubsub_numsub("channel") == [(b"channel", 1)]
    with client(stores.local.url) as local:
        wait_until(lambda: local.pubsub_numsub("channel") == [(b"channel", 0)], "the end of the subscription")


@pytest.mark.parametrize("lines", [("SUBSCRIBE",), ("MULTI", "SUBSCRIBE c")])
def test_what_makes_no_sense_is_refused(raw: Raw, lines: tuple[str, ...]) -> None:
    assert raw.ask(*lines)[-1].startswith(b"-ERR")
    raw.ask("RESET")


def test_a_subscription_moves_along_with_the_writes(open_proxy: Open, stores: Stores) -> None:
    server = open_proxy(local_timeout_s=0.5)
    with client(server.url, decode_responses=True) as r, r.pubsub() as pubsub:
        pubsub.subscribe("a")
        pubsub.psubscribe("p*")
        assert [message(pubsub)[0] for _ in range(2)] == ["subscribe", "psubscribe"]
        stores.local.kill()
        assert r.set("k", "v"), "which claims the cloud store"
        with client(stores.cloud.url) as cloud:
            wait_until(lambda: cloud.pubsub_numsub("a")[0][1] == 1, "the channel on the cloud store")
            wait_until(lambda: cloud.pubsub_numpat() >= 1, "the pattern on the cloud store")
        assert (r.publish("a", "1"), r.publish("px", "2")) == (1, 1)
        assert [message(pubsub) for _ in range(2)] == [("message", "a", "1"), ("pmessage", "px", "2")]
        stores.local.start()
        wait_until(lambda: server.client.status().authority is Store.LOCAL, "the failback", 30)
        with client(stores.local.url) as local:
            wait_until(lambda: local.pubsub_numsub("a")[0][1] == 1, "the channel on the local store")
        pubsub.unsubscribe("a")
        assert message(pubsub) == ("unsubscribe", "a", 1)
        assert (r.publish("a", "3"), r.publish("pz", "4")) == (0, 1)
        assert message(pubsub) == ("pmessage", "pz", "4")
