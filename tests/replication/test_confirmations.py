"""What is known of a write that waits for the other store, once the authority has moved."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from hybrid.core.actions import AwaitConfirmation
from hybrid.core.authority import Authority, Holder
from hybrid.core.health import Evidence
from hybrid.core.names import Names
from hybrid.core.outcomes import Confirmation
from hybrid.core.tokens import Seal
from hybrid.events import EventLog
from hybrid.replication.engine import Engine
from hybrid.settings import Settings
from hybrid.types import Store

HERE = Authority(Holder.LOCAL, 4)
CLAIMED = Authority(Holder.CLOUD, 5)
HANDOVER = Authority(Holder.HANDOVER, 6)
RETURNED = Authority(Holder.LOCAL, 7)
WRITTEN = (100, 0)


@pytest.fixture
def engine() -> Engine:
    """Not started: it knows what it is told here. Local has the authority, and both stores are up."""
    settings = Settings(local_url="redis://localhost:1", cloud_url="redis://localhost:2")
    engine = Engine(settings, EventLog(()), Names())
    engine.board.learn(HERE, source=Store.CLOUD)
    for store in Store:
        engine.board.observe(store, Evidence.ANSWERED)
        engine.board.observe(store, Evidence.CAUGHT_UP)
    return engine


def known(engine: Engine, epoch: int) -> Confirmation | None:
    return engine.confirmations.known(AwaitConfirmation(Store.LOCAL, WRITTEN, epoch), time.monotonic() + 30)


@pytest.mark.parametrize("heard", [(CLAIMED, HANDOVER, RETURNED), (CLAIMED, RETURNED), (RETURNED,)])
def test_progress_since_a_failback_says_nothing_of_what_was_written_before(
    engine: Engine, heard: Sequence[Authority]
) -> None:
    """A local store that came back with older data takes a write before anybody knows, is refilled, and has the
    authority again: the write is gone, and its place is passed. Also where this process was cut off meanwhile."""
    written = AwaitConfirmation(Store.LOCAL, WRITTEN, HERE.epoch)
    assert known(engine, HERE.epoch) is None
    for record in heard:
        engine.board.learn(record, source=Store.CLOUD)
    engine.board.acks[Store.LOCAL].advance((101, 0))
    assert known(engine, HERE.epoch) is Confirmation.AUTHORITY_LOST
    assert engine.confirmations.after_loss(written, None) is Confirmation.AUTHORITY_LOST
    assert known(engine, RETURNED.epoch) is Confirmation.APPLIED


def test_the_last_word_on_a_later_log_says_nothing_of_what_was_written_before(engine: Engine) -> None:
    for record in (RETURNED, lost := Authority(Holder.CLOUD, 8)):
        engine.board.learn(record, source=Store.CLOUD)
    seal = Seal(lost, lost.epoch, (101, 0), (101, 0))
    engine.board.acks[Store.LOCAL].seal(seal)
    before, since = (AwaitConfirmation(Store.LOCAL, WRITTEN, record.epoch) for record in (HERE, RETURNED))
    assert engine.confirmations.after_loss(before, seal) is Confirmation.AUTHORITY_LOST
    assert engine.confirmations.after_loss(since, seal) is Confirmation.APPLIED


def test_a_drain_that_came_to_nothing_begins_no_other_log(engine: Engine) -> None:
    for record in (Authority(Holder.DRAIN, 5), Authority(Holder.LOCAL, 6)):
        engine.board.learn(record, source=Store.CLOUD)
    engine.board.acks[Store.LOCAL].advance((101, 0))
    assert known(engine, HERE.epoch) is Confirmation.APPLIED
