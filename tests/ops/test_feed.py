"""How long a sync waits for the shipper."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hybrid.core.names import Names
from hybrid.errors import StoreUnavailable
from hybrid.ops.sync import feed
from hybrid.ops.sync.feed import Feed
from hybrid.types import Store


class Pair:
    """One batch is on its way, and done after `waits` waits; somebody holds the lease for the first `leased` asked."""

    names = Names()
    authority = Store.LOCAL

    def __init__(self, waits: int, leased: int) -> None:
        self.waits, self.leased = waits, leased
        self.engine = SimpleNamespace(board=SimpleNamespace(wrote=lambda _: None))

    def await_applied(self, *_: object) -> bool:
        self.waits -= 1
        return self.waits < 0

    def check(self) -> None:
        pass

    def ask(self, store: Store, command: tuple[Any, ...]) -> list[int]:
        assert (store, command) == (Store.LOCAL, ("EXISTS", self.names.lease))
        self.leased -= 1
        return [int(self.leased >= 0)]


def waiting(pair: Any) -> Feed:
    started = Feed(pair)
    started._on_the_way.append(((1, 0), 0.0))
    return started


def test_a_value_that_takes_long_is_waited_for_while_somebody_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "STALLED_S", -1.0)  # every wait is too long
    waiting(Pair(waits=5, leased=5)).finish()
    with pytest.raises(StoreUnavailable, match="nobody ships"):
        waiting(Pair(waits=5, leased=2)).finish()
