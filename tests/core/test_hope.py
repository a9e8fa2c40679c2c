"""How long commands wait when no store is left."""

from __future__ import annotations

import pytest

from hybrid.core.hope import LAST_TRY_S, RETURN_S, Hope
from hybrid.types import Store


@pytest.fixture
def lost() -> Hope:
    """Both stores are down since the moment 0."""
    hope = Hope()
    assert hope.take_in(True, [Store.CLOUD], False, -1.0) == ()
    assert hope.take_in(False, Store, False, 0.0) == tuple(Store)
    return hope


def test_there_is_nothing_to_hope_for_while_a_store_serves() -> None:
    assert not Hope().is_alive(0.0)


def test_it_ends_when_every_store_was_tried_or_takes_too_long(lost: Hope) -> None:
    assert lost.left_s(0.1) == pytest.approx(LAST_TRY_S - 0.1)
    assert not lost.is_alive(LAST_TRY_S)
    lost.tried(Store.LOCAL)
    assert lost.is_alive(0.1)
    lost.tried(Store.CLOUD)
    assert not lost.is_alive(0.1)


def test_it_comes_once(lost: Hope) -> None:
    assert lost.take_in(False, Store, False, 5.0) == ()
    assert not lost.is_alive(5.0)


def test_it_ends_when_a_store_takes_writes_and_comes_again_with_the_next_loss(lost: Hope) -> None:
    lost.take_in(True, [Store.LOCAL], False, 0.1)
    assert not lost.is_alive(0.1)
    assert lost.take_in(False, Store, False, 9.0) == tuple(Store)
    assert lost.is_alive(9.1)


def test_a_local_store_that_catches_up_is_waited_for_longer_and_once(lost: Hope) -> None:
    assert lost.take_in(False, [Store.CLOUD], True, 5.0) == ()
    assert lost.left_s(5.0) == RETURN_S
    lost.take_in(False, [Store.CLOUD], True, 6.0)
    assert not lost.is_alive(5.0 + RETURN_S)
    lost.take_in(False, Store, False, 8.0)
    lost.take_in(False, [Store.CLOUD], True, 9.0)
    assert lost.is_alive(9.1), "it was down in between"


def test_the_cloud_store_may_be_lost_while_the_local_one_catches_up() -> None:
    hope = Hope()
    hope.take_in(True, [], True, 0.0)
    assert not hope.is_alive(0.0)
    assert hope.take_in(False, [Store.CLOUD], True, 1.0) == (Store.CLOUD,)
    assert hope.left_s(1.0) == RETURN_S
