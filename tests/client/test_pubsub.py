"""Subscriptions of the client: they are on the store that takes writes, and move with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from client.rig import PATIENT, one_pair
from servers import client, wait_until

from hybrid import AllStoresDown, HybridRedis, Store
from hybrid.stores.processes import ServerProcess

SLOW_CLOUD = {"cloud_timeout_s": 3.0, "decode_responses": True}


@pytest.fixture
def pair(server: Callable[..., ServerProcess]) -> Iterator[tuple[HybridRedis, ServerProcess, ServerProcess]]:
    """A client over two servers of the test's own, of which the local one may die and return."""
    local, cloud = server(persistent=True, appendfsync="no"), server()
    with HybridRedis.from_urls(local.url, cloud.url, **SLOW_CLOUD) as hybrid:
        hybrid.set("k", 1)
        yield hybrid, local, cloud


def heard(hybrid: HybridRedis, pubsub: Any, words: str) -> bool:
    """Whether what is published now reaches the subscription."""
    hybrid.publish("channel", words)
    message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.1)
    return message is not None and message["data"] == words


def test_a_subscription_moves_with_the_authority_and_back(pair: Any) -> None:
    hybrid, local, _ = pair
    pubsub, calls = hybrid.pubsub(), []
    pubsub.subscribe("channel", other=lambda message: calls.append(message["data"]))
    pubsub.psubscribe("p.*")
    wait_until(lambda: heard(hybrid, pubsub, "before"))
    assert sorted(hybrid.pubsub_channels()) == ["channel", "other"], "hybrid's own channels are hidden"
    local.kill()
    wait_until(lambda: heard(hybrid, pubsub, "during the failover"))
    assert hybrid.set("k", 2) and hybrid.status().authority is Store.CLOUD
    assert hybrid.publish("p.1", "x") == hybrid.publish("other", "y") == 1, "every subscription came along"
    local.start()
    wait_until(lambda: hybrid.status().authority is Store.LOCAL, "the way back", 30)
    wait_until(lambda: heard(hybrid, pubsub, "after it"))
    assert calls == ["y"]
    pubsub.close()


def test_a_listening_thread_moves_by_itself(pair: Any) -> None:
    hybrid, local, _ = pair
    pubsub, words = hybrid.pubsub(), []
    pubsub.subscribe(channel=lambda message: words.append(message["data"]))
    thread = pubsub.run_in_thread(sleep_time=0.05)
    wait_until(lambda: hybrid.publish("channel", "one") and words)
    local.kill()
    wait_until(lambda: (hybrid.publish("channel", "two"), "two" in words)[1])
    pubsub.subscribe("late")
    wait_until(lambda: hybrid.publish("late", "three") == 1)
    thread.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_with_no_store_left_it_says_so(pair: Any) -> None:
    hybrid, local, cloud = pair
    pubsub = hybrid.pubsub()
    pubsub.subscribe("channel")
    local.kill()
    cloud.kill()

    def raises() -> bool:
        try:
            pubsub.get_message(timeout=0.1)
        except AllStoresDown:
            return True
        return False

    wait_until(raises, "AllStoresDown")
    with pytest.raises(AllStoresDown):
        hybrid.pubsub().subscribe("channel")


def test_one_that_is_closed_while_a_thread_listens_ends_it(pair: Any) -> None:
    hybrid, _, _ = pair
    pubsub, ended = hybrid.pubsub(), []
    pubsub.subscribe("channel")

    def listen() -> None:
        try:
            for _ in pubsub.listen():
                pass
        except (RuntimeError, OSError, AttributeError) as error:
            ended.append(error)
        else:
            ended.append(None)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    wait_until(lambda: hybrid.pubsub_numsub("channel")[0][1] == 1)
    pubsub.close()
    wait_until(lambda: ended)


@one_pair
def test_events_of_keys_are_heard(open_hybrid: Callable[..., HybridRedis], stores: Any) -> None:
    for server in (stores.local, stores.cloud):
        with client(server.url) as direct:
            direct.config_set("notify-keyspace-events", "KEA")
    hybrid = open_hybrid(**PATIENT)
    with hybrid.keyspace_notifications() as notifications:
        notifications.subscribe_keyspace("watched")
        wait_until(lambda: (hybrid.set("watched", 1), notifications.get_message(timeout=0.1))[1])
    for server in (stores.local, stores.cloud):
        with client(server.url) as direct:
            direct.config_set("notify-keyspace-events", "")


@one_pair
def test_monitor_shows_what_the_store_that_takes_writes_is_asked(open_hybrid: Callable[..., HybridRedis]) -> None:
    hybrid = open_hybrid()
    with hybrid.monitor() as monitor:
        hybrid.set("seen", 1)
        commands = (monitor.next_command()["command"] for _ in range(50))
        assert any(command.startswith("SET seen") for command in commands)
