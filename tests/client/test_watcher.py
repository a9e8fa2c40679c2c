"""What a watcher takes for word of its store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from servers import Stores, client, wait_until

from hybrid import HybridRedis, Store, events
from hybrid.core.outcomes import NotSent
from hybrid.replication.watcher import Watcher
from hybrid.stores.processes import ServerProcess
from hybrid.types import StoreState

Open = Callable[..., HybridRedis]
Act = Callable[[], Any]


@pytest.mark.parametrize("what", ["message", "pong", "greeting"])
def test_what_a_store_said_before_it_was_lost_does_not_bring_it_back(
    server: Callable[..., ServerProcess], open_client: Open, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A writer finds out that it is gone before the watcher has taken in what it still said."""
    stores = Stores(server(), server())
    hybrid = open_client(stores.local.url, stores.cloud.url)
    hybrid.set("k", "v")
    assert hybrid.wait_in_sync(10)
    seen: list[events.Event] = []
    hybrid.events.add_hook(seen.append)
    reach, endpoint = hybrid._engine.reach, hybrid._engine.endpoints[Store.CLOUD]
    watcher = reach.watchers[Store.CLOUD]

    def lost_first(owner: object, name: str) -> None:
        act, lost = getattr(owner, name), list[bool]()

        def late(*args: Any) -> Any:
            found = act(*args)
            if not lost:
                lost.append(True)
                stores.cloud.kill()
                reach.failed(Store.CLOUD, NotSent("connection refused"))
            return found

        monkeypatch.setattr(owner, name, late)

    if what == "message":
        lost_first(watcher, "_take")
        with client(stores.cloud.url) as other:
            other.publish(endpoint.moved, hybrid._board.authority.record)
    elif what == "pong":
        lost_first(endpoint.pace, "took")
        watcher.poke()
    else:
        lost_first(watcher, "_greet")
        watcher.renew()
    tried = failures(watcher, monkeypatch)
    wait_until(lambda: len(tried) > 1, "two attempts to reach it")
    assert hybrid._board.state(Store.CLOUD) is StoreState.DOWN
    assert [type(event) for event in seen if getattr(event, "store", None) is Store.CLOUD] == [events.StoreDown]


def failures(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows with each attempt that fails."""
    fail, found = watcher._fail, list[object]()

    def noted(error: Any) -> None:
        found.append(error)
        fail(error)

    monkeypatch.setattr(watcher, "_fail", noted)
    return found
