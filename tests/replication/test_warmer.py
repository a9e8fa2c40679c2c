"""Connections are made ready several at a time, and only as many as are missing."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from hybrid.core.authority import FIRST, Authority, Holder
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent
from hybrid.replication.warmer import AT_ONCE, MOST_WIRES, SPARE_WIRES, Warmer, warm
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store


class Meeting:
    """Connecting takes until as many others as there may be connect too."""

    store = Store.CLOUD

    def __init__(self, *, refuses: bool = False) -> None:
        self.opened = 0
        self._meeting = threading.Barrier(AT_ONCE, timeout=10.0)
        self._refuses = refuses

    def to_warm(self, count: int) -> list[object]:
        return [self.open] * count

    def open(self) -> None:
        self._meeting.wait()
        if self._refuses:
            raise NotSent("connection refused")
        self.opened += 1


def test_connections_are_opened_at_the_same_time() -> None:
    endpoint = Meeting()
    warm(endpoint, 2 * AT_ONCE)  # type: ignore[arg-type]
    assert endpoint.opened == 2 * AT_ONCE


@pytest.mark.parametrize("count", [0, AT_ONCE])
def test_a_store_that_refuses_is_left_to_others(count: int) -> None:
    endpoint = Meeting(refuses=True)
    warm(endpoint, count)  # type: ignore[arg-type]
    assert not endpoint.opened


def test_one_thread_has_few_connections_kept_ready(valkey: ServerProcess) -> None:
    """One is always in use, and comes back to those that were opened meanwhile: were these counted, each side would
    follow the other up to the limit."""
    names, board = Names(), SimpleNamespace(authority=FIRST, closing=False)
    local, cloud = (Endpoint(store, valkey.url, names, timeout_s=5.0) for store in Store)
    warmers: Any = Warmer(local, cloud, board), Warmer(cloud, local, board)  # type: ignore[arg-type]
    for _ in range(MOST_WIRES):
        in_use = local.take_fenced(), local.take()
        for warmer in warmers:
            warmer.ask()
            warm(warmer._endpoint, warmer._wanted)
        local.give_fenced(*in_use[0])
        local.give(*in_use[1])
        for warmer in warmers:
            warmer.ask()
    assert local.idle == SPARE_WIRES + 2 and cloud.idle == SPARE_WIRES + 1
    local.close()
    cloud.close()


def test_a_connection_made_ready_is_not_taken_before_it_is_needed(valkey: ServerProcess) -> None:
    """It would seem to be needed then, and the other store would have one more made ready."""
    endpoint = Endpoint(Store.LOCAL, valkey.url, Names(), timeout_s=5.0)
    for count in range(1, 5):
        endpoint.give_fenced(*endpoint.take_fenced())
        warm(endpoint, count + 1)
    assert endpoint.idle == 5 and endpoint.needed == 1
    endpoint.close()


@pytest.mark.parametrize(
    ("store", "authority", "epoch"),
    [
        (Store.CLOUD, Authority(Holder.LOCAL, 7), 7),
        (Store.CLOUD, Authority(Holder.CLOUD, 8), 8),
        (Store.CLOUD, Authority(Holder.HANDOVER, 9), 0),
        (Store.CLOUD, FIRST.of_local_alone, 0),
        (Store.LOCAL, Authority(Holder.LOCAL, 7), 7),
        (Store.LOCAL, Authority(Holder.CLOUD, 8), 0),
    ],
)
def test_fences_are_fresh_where_they_may_be_needed_at_once(store: Store, authority: Authority, epoch: int) -> None:
    """A writer that has waited for a hung local store claims the authority behind the fence of an idle connection to
    the cloud one: had it to be renewed first, that would be one more round trip after each failback."""
    endpoint: Any = SimpleNamespace(store=store)
    board: Any = SimpleNamespace(authority=authority)
    assert Warmer(endpoint, endpoint, board)._epoch == epoch
