"""What a stream learns before it ships."""

from __future__ import annotations

import logging
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from servers import client, run_packed

from hybrid.core.authority import FIRST, Authority
from hybrid.core.marks import Marks
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent
from hybrid.core.resp import pack
from hybrid.errors import HybridError
from hybrid.replication.endings import Ended, Outcome, TargetLost
from hybrid.replication.opening import Opening, _warn_of, _warn_of_eviction
from hybrid.replication.stream import Stream
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store, StoreState


class Board:
    authority = FIRST

    def __init__(self, state: StoreState = StoreState.CATCHING_UP) -> None:
        self._state = state

    def is_wiped(self, store: Store) -> bool:
        return self._state is StoreState.WIPED

    def learn(self, authority: Authority, *, source: Store) -> None:
        if authority.epoch > self.authority.epoch:
            self.authority = authority

    def observe(self, *_: object) -> None: ...


def opening(board: Board, source: Store = Store.LOCAL) -> Opening:
    endpoint = SimpleNamespace(retire=lambda: None, is_lost=lambda mark: True, marks=lambda reply: Marks(*reply))
    stream: Any = SimpleNamespace(
        board=board,
        source=source,
        target=source.other,
        endpoints=dict.fromkeys(Store, endpoint),
        accepted=partial(Stream.accepted, None),
    )
    return Opening(stream)


def test_a_store_that_lost_the_authority_is_not_copied_over_the_one_that_has_it() -> None:
    """The record was told while this process could not hear it."""
    with pytest.raises(Ended) as ended:
        opening(Board())._check_record([b"cloud 2"])
    assert ended.value.outcome is Outcome.MOVED


@pytest.mark.parametrize("record", [b"local 1", b"local 4", None])
def test_any_other_record_is_no_obstacle(record: bytes | None) -> None:
    opening(Board())._check_record([record])


def test_a_store_that_refuses_whatever_it_is_asked_is_told_by_its_words() -> None:
    """Its password was changed between the connection and the first question."""
    refused = redis.AuthenticationError("NOAUTH Authentication required.")
    with pytest.raises(HybridError, match="Authentication required"):
        opening(Board())._check_mark([refused])
    stream = opening(Board())._stream
    stream.names, stream.states = Names(), SimpleNamespace(exchange=lambda *_: [refused] * 4)
    with pytest.raises(NotSent, match="password required"):
        Opening(stream)._end_previous()


def test_a_store_without_its_mark_is_refilled_by_another_stream() -> None:
    with pytest.raises(TargetLost):
        opening(Board())._check_mark([[None, None]])
    opening(Board(), source=Store.CLOUD)._check_mark([[b"mark", None]])
    opening(Board(StoreState.WIPED), source=Store.CLOUD)._check_mark([[None, None]])


@pytest.mark.parametrize(
    ("policy", "limit", "warned"),
    [("allkeys-lru", "10mb", True), ("allkeys-lru", "0", False), ("volatile-lru", "10mb", False)],
)
def test_a_store_that_may_take_hybrids_own_keys(
    valkey: ServerProcess, caplog: pytest.LogCaptureFixture, policy: str, limit: str, warned: bool
) -> None:
    caplog.set_level(logging.WARNING, "hybrid")
    _warn_of.cache_clear()
    with client(valkey.url) as connection:
        connection.config_set("maxmemory", limit)
        connection.config_set("maxmemory-policy", policy)
        info = run_packed(connection, pack(("INFO",)))
        connection.config_set("maxmemory", 0)
        connection.config_set("maxmemory-policy", "noeviction")
    for _ in range(2):
        _warn_of_eviction(info)
    assert [policy in record.getMessage() for record in caplog.records] == [True] * warned
