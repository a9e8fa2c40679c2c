from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.drift import Cause, Difference, Facts
from hybrid.core.syncplan import (
    Direction,
    PlanSums,
    Policy,
    Prefer,
    Verb,
    confirmation_phrase,
    is_unchanged,
    plan_action,
    plan_actions,
    plan_sums,
)
from hybrid.core.undo import UNREAD, UndoRecord, undo_batch, undo_fields
from hybrid.types import Store

HERE = Facts("string", b"here", None, 10)
THERE = Facts("hash", b"there", 5000, 100)
DIFFERS = Difference(b"k", (Cause.VALUE,), HERE, THERE)
ONLY_LOCAL = Difference(b"l", (Cause.ONLY_LOCAL,), HERE, None)
ONLY_CLOUD = Difference(b"c", (Cause.ONLY_CLOUD,), None, THERE)
TO_LOCAL, TO_CLOUD, MERGE = Direction.CLOUD_TO_LOCAL, Direction.LOCAL_TO_CLOUD, Direction.MERGE


@pytest.mark.parametrize(
    ("policy", "difference", "verb", "target"),
    [
        (Policy(TO_LOCAL), DIFFERS, Verb.COPY, Store.LOCAL),
        (Policy(TO_CLOUD), DIFFERS, Verb.COPY, Store.CLOUD),
        (Policy(TO_LOCAL), ONLY_LOCAL, Verb.KEEP, Store.LOCAL),
        (Policy(TO_LOCAL, delete_extras=True), ONLY_LOCAL, Verb.DELETE, Store.LOCAL),
        (Policy(TO_CLOUD), ONLY_LOCAL, Verb.COPY, Store.CLOUD),
        (Policy(TO_CLOUD, delete_extras=True), ONLY_CLOUD, Verb.DELETE, Store.CLOUD),
        (Policy(MERGE, delete_extras=True), ONLY_LOCAL, Verb.COPY, Store.CLOUD),
        (Policy(MERGE), ONLY_CLOUD, Verb.COPY, Store.LOCAL),
        (Policy(MERGE), DIFFERS, Verb.ASK, Store.LOCAL),
        (Policy(MERGE, Prefer.LOCAL), DIFFERS, Verb.COPY, Store.CLOUD),
        (Policy(MERGE, Prefer.CLOUD), DIFFERS, Verb.COPY, Store.LOCAL),
        (Policy(MERGE, Prefer.LONGER_TTL), DIFFERS, Verb.COPY, Store.CLOUD),
    ],
)
def test_what_is_done_about_one_key(policy: Policy, difference: Difference, verb: Verb, target: Store) -> None:
    action = plan_action(difference, policy)
    assert (action.verb, action.target, action.key) == (verb, target, difference.key)


def test_the_same_expiry_decides_nothing() -> None:
    same = Difference(b"k", (Cause.VALUE,), HERE, Facts("string", b"other", None, 1))
    assert plan_action(same, Policy(MERGE, Prefer.LONGER_TTL)).verb is Verb.ASK


def test_the_sums_of_a_plan() -> None:
    sums = plan_sums(plan_actions((DIFFERS, ONLY_LOCAL, ONLY_CLOUD), Policy(TO_CLOUD, delete_extras=True)))
    assert sums == PlanSums(
        copies={Store.LOCAL: 0, Store.CLOUD: 2},
        deletes={Store.LOCAL: 0, Store.CLOUD: 1},
        overwritten=2,
        size_bytes=20,
        cloud_commands=(4 + 1) + 1 + (4 + 1),
    )
    assert sums.changes == 3


@pytest.mark.parametrize(
    ("deletes", "keys", "phrase"),
    [
        (0, 1000, None),
        (100, 1000, None),
        (101, 10_000, "delete 101 on cloud"),
        (11, 100, "delete 11 on cloud"),
        (10, 100, None),
        (10, 10, None),
        (11, 11, "delete 11 on cloud"),
    ],
)
def test_how_much_deleting_takes_words(deletes: int, keys: int, phrase: str | None) -> None:
    sums = PlanSums(deletes={Store.LOCAL: 0, Store.CLOUD: deletes})
    assert confirmation_phrase(sums, {Store.LOCAL: keys, Store.CLOUD: keys}) == phrase


def test_the_guard() -> None:
    assert is_unchanged(HERE, HERE) and is_unchanged(None, None)
    assert not is_unchanged(HERE, None) and not is_unchanged(None, HERE)
    assert is_unchanged(THERE, Facts("hash", b"there", 5900, 100))
    assert not is_unchanged(THERE, Facts("hash", b"there", 7000, 100))
    assert not is_unchanged(THERE, Facts("hash", b"other", 5000, 100))
    unread = Facts("hash", b"", None, 0)
    assert is_unchanged(unread, THERE) and not is_unchanged(unread, HERE)


facts = st.none() | st.builds(
    Facts, st.text(max_size=5), st.binary(max_size=18), st.none() | st.integers(), st.integers(0), st.binary(max_size=5)
)
records = st.lists(
    st.builds(UndoRecord, st.binary(), facts, facts, st.lists(st.binary(min_size=1), max_size=3).map(tuple))
)


@given(records, st.sampled_from(Store))
def test_an_undo_bundle_is_read_as_it_was_written(written: list[UndoRecord], store: Store) -> None:
    fields = undo_fields("20260101-000000-abcd", store, written)
    read = undo_batch(dict(zip(fields[::2], fields[1::2], strict=True)))
    assert (read.bundle, read.store) == ("20260101-000000-abcd", store)
    assert [record._replace(restore=tuple(record.restore)) for record in read.records] == written


def test_a_key_shipped_unread_is_unlike_anything() -> None:
    assert not is_unchanged(UNREAD, HERE)
