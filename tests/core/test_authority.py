"""The authority record, and places in a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.authority import FIRST, Authority, Holder, position, position_text
from hybrid.types import Store

POSITIONS = st.tuples(st.integers(0, 2**48), st.integers(0, 2**63))


@given(st.sampled_from(Holder), st.integers(0, 2**53), st.booleans())
def test_a_record_is_read_as_it_was_written(holder: Holder, epoch: int, held: bool) -> None:
    authority = Authority(holder, epoch, held)
    assert Authority.parse(authority.record) == Authority.parse(authority.record.decode()) == authority


def test_the_record_on_the_stores() -> None:
    assert FIRST.record == b"local 1"
    assert Authority(Holder.HANDOVER, 12).record == b"handover 12"
    assert Authority(Holder.CLOUD, 13, held=True).record == b"cloud 13 held"
    assert Authority.parse(None) is None


@pytest.mark.parametrize("record", [b"", b"local", b"nobody 1", b"local one", b"cloud 1 hold", b"cloud 1 held x"])
def test_refuses_another_record(record: bytes) -> None:
    with pytest.raises(ValueError):
        Authority.parse(record)


@pytest.mark.parametrize(
    ("holder", "log_of", "admitted"),
    [
        (Holder.LOCAL, Store.LOCAL, [Store.LOCAL]),
        (Holder.CLOUD, Store.CLOUD, [Store.CLOUD]),
        (Holder.HANDOVER, Store.CLOUD, []),
        (Holder.DRAIN, Store.LOCAL, []),
    ],
)
def test_who_ships_and_who_writes(holder: Holder, log_of: Store, admitted: list[Store]) -> None:
    authority = Authority(holder, 7)
    assert authority.store is log_of
    assert [store for store in Store if authority.admits(store)] == admitted
    assert authority.is_moving is not bool(admitted)


def test_a_successor_is_one_epoch_later() -> None:
    assert Authority(Holder.LOCAL, 7).succeeded_by(Holder.CLOUD) == Authority(Holder.CLOUD, 8)
    assert Authority(Holder.CLOUD, 7, held=True).succeeded_by(Holder.CLOUD) == Authority(Holder.CLOUD, 8)


@given(POSITIONS)
def test_a_position_is_read_as_it_was_written(place: tuple[int, int]) -> None:
    assert position(position_text(place)) == position(position_text(place).decode()) == place


def test_positions_sort_as_the_log_does() -> None:
    log = [b"9-0", b"9-2", b"9-10", b"10-0", b"10-1"]
    assert sorted(sorted(log), key=position) == log
