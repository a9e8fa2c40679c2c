"""What applications see of keys and cursors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.names import Names
from hybrid.core.visible import ANEW, CURSOR_AT, cursor_of, sent_cursor, shown
from hybrid.types import Store

CURSORS = st.integers(0, 2**64 - 1)
STORES = st.sampled_from(Store)
SCANS = st.sampled_from(sorted(CURSOR_AT))


def arguments(name: str, cursor: object) -> tuple[object, ...]:
    return (name, *["key"] * (CURSOR_AT[name] - 1), cursor, "COUNT", 10)


@given(SCANS, CURSORS, STORES)
def test_a_scan_goes_on_where_it_was(name: str, cursor: int, store: Store) -> None:
    marked, items = shown(name, [b"%d" % cursor, [b"a"]], store)
    assert items == [b"a"]
    args, at = arguments(name, marked), CURSOR_AT[name]
    assert cursor_of(args, at) == (cursor, store if cursor else None)
    assert sent_cursor(args, at, store) == arguments(name, cursor)


@given(SCANS, CURSORS.filter(bool), STORES)
def test_a_scan_begins_anew_on_the_other_store(name: str, cursor: int, store: Store) -> None:
    marked = shown(name, [b"%d" % cursor, []], store)[0]
    assert sent_cursor(arguments(name, int(marked)), CURSOR_AT[name], store.other) == arguments(name, 0)


@given(STORES)
def test_the_end_of_a_scan_is_the_end(store: Store) -> None:
    assert shown("SCAN", [b"0", []], store) == [b"0", []]


@pytest.mark.parametrize("cursor", ["0", b"0", 0, ANEW])
def test_a_scan_begins_anywhere(cursor: object) -> None:
    assert cursor_of(("SCAN", cursor), 1) == (0, None)
    assert all(sent_cursor(("SCAN", cursor), 1, store)[1] == 0 for store in Store)


@pytest.mark.parametrize("args", [("SCAN",), ("SCAN", "rubbish")])
def test_what_is_no_cursor_is_for_the_server_to_refuse(args: tuple[object, ...]) -> None:
    assert sent_cursor(args, 1, Store.CLOUD) == args


@given(CURSORS, STORES)
def test_a_scan_that_another_store_may_have_answered_begins_anew(cursor: int, store: Store) -> None:
    marked = shown("SCAN", [b"%d" % cursor, []], store, doubtful=True)[0]
    assert sent_cursor(("SCAN", marked), 1, store) == ("SCAN", 0)


def test_reserved_keys_are_hidden_where_keys_are_listed() -> None:
    keys = [b"a", b"hybrid:log", b"hybrid", b"xhybrid:", b"hybrid:"]
    seen = [b"a", b"hybrid", b"xhybrid:"]
    assert shown("KEYS", keys, Store.LOCAL) == seen
    assert shown("SCAN", [b"0", keys], Store.LOCAL)[1] == seen
    texts = [key.decode() for key in keys]
    assert shown("KEYS", texts, Store.CLOUD) == [key.decode() for key in seen]
    assert shown("SCAN", ["0", texts], Store.CLOUD)[1] == [key.decode() for key in seen]


def test_members_are_not_keys() -> None:
    for name in ("SSCAN", "HSCAN", "ZSCAN"):
        assert shown(name, [b"0", [b"hybrid:log"]], Store.LOCAL)[1] == [b"hybrid:log"]
    assert shown("LRANGE", [b"hybrid:log"], Store.LOCAL) == [b"hybrid:log"]


@pytest.mark.parametrize("name", ["KEYS", "SCAN", "GET"])
def test_an_error_stays_an_error(name: str) -> None:
    error = ValueError("ERR")
    assert shown(name, error, Store.LOCAL) is error


def test_names_of_a_drill_are_its_own() -> None:
    names = Names(b"hybrid:drill:7:")
    assert (names.log, names.authority) == (b"hybrid:drill:7:log", b"hybrid:drill:7:authority")
    keys = {names.log, names.authority, names.lease, names.identity, names.seal, names.conflicts}
    assert len(keys | {names.applied, names.moved}) == 8
    assert shown("KEYS", list(keys), Store.LOCAL) == []
