"""Log entries back into groups, and what is done with each: replayed, or copied by state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import ResponseError

from hybrid.core.commands import lookup, policy_of
from hybrid.core.expiry_guard import EXPIRY_GUARD_MS
from hybrid.core.log_entry import TOKEN_BYTES
from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.core.scripts import FLUSH_SHA
from hybrid.core.shipping import (
    REPLAY_WITHIN_MS,
    RUN_BYTES,
    Entry,
    Field,
    Group,
    by_state,
    failed,
    groups,
    parts,
    plain_run,
    plan,
)
from hybrid.core.tokens import KEPT_WIRES, Shipped, token
from hybrid.core.transaction import transaction
from hybrid.core.write import Write

MS = 1_000_000
TOKEN = b"t" * TOKEN_BYTES


def packed(line: str) -> bytes:
    return pack(line.encode().split())


def group(*fields: str, at: tuple[int, int] = (MS, 0)) -> Group:
    """A group of fields written as `v SET k 1`, `t EXPIRE k 5`, `s key`, `f 1`."""
    return Group(at, tuple(field(text) for text in fields))


def field(text: str) -> Field:
    name, _, payload = text.partition(" ")
    return name.encode(), packed(payload) if name in "vt" else payload.encode()


def entry(number: int, *fields: str) -> Entry:
    return b"%d-0" % number, [part for text in fields for part in field(text)]


def grouped(*reads: Sequence[Entry]) -> list[Group]:
    """The groups of a log that came in these reads."""
    left: list[Field] = []
    found = [done for read in reads for done in groups(read, left)]
    assert left == [], "a group was left open"
    return found


def parsed(payload: bytes) -> list[str]:
    reader = hiredis.Reader()
    reader.feed(payload)
    found = []
    while (command := reader.gets()) is not False:
        found.append(b" ".join(command).decode())
    return found


def replayed(one: Group) -> list[str]:
    payload, count = one.replay()
    lines = parsed(payload)
    assert len(lines) == count, "one reply for each command"
    return lines


# -- grouping


def test_entries_of_their_own() -> None:
    first, second = grouped([entry(1, "v SET a 1"), entry(2, "v SET b 2", "v SET c 3")])
    assert first == group("v SET a 1", at=(1, 0))
    assert second == group("v SET b 2", "v SET c 3", at=(2, 0))


MIXED = [
    entry(1, "v SET a 1", "m 1"),
    entry(2, "v SREM s x", "m 1"),
    entry(3, "e 1", f"w {TOKEN.decode()}"),
    entry(4, "v SET b 2"),
]


@pytest.mark.parametrize("cut", range(len(MIXED) + 1))
def test_a_group_may_come_in_several_reads(cut: int) -> None:
    first, second = grouped(MIXED[:cut], MIXED[cut:])
    assert first == Group((3, 0), (field("v SET a 1"), field("v SREM s x")), TOKEN)
    assert second == group("v SET b 2", at=(4, 0))
    assert second.token is None


def test_a_group_that_is_not_complete_stays_open() -> None:
    left: list[Field] = []
    assert list(groups(MIXED[:2], left)) == []
    assert left == [field("v SET a 1"), field("v SREM s x")]


def test_a_group_in_which_nothing_changed_has_a_place_and_nothing_to_do() -> None:
    (one,) = grouped([entry(5, "e 1")])
    assert (one.place, one.keys, one.keyless, one.empties, one.by_state) == ((5, 0), (), (), False, False)
    assert one.replay() == (b"", 0)


def test_keys_that_are_called_like_fields() -> None:
    [mixed] = grouped([entry(0, "s s", "s e", "v SET s s")])
    assert mixed.keys == (b"s", b"e") and mixed.by_state and not mixed.empties
    [copied] = grouped([entry(0, "s s", "s f", "s s")])
    assert copied.keys == (b"s", b"f") and copied.touched == {b"s", b"f"}
    assert not copied.empties and copied.keyless == ()


def test_half_a_field_is_not_overlooked() -> None:
    with pytest.raises(ValueError):
        grouped([(b"1-0", [b"v"])])


LINES = [
    "SET a 1",
    "INCR a",
    "GET a",
    "EXPIRE a 5",
    "SPOP s",
    "SORT l STORE d",
    "PUBLISH c m",
    "FLUSHALL",
    "MSET a 1 b 2",
]


def logged(lines: list[str]) -> tuple[list[Entry], bool]:
    """What a store would log for this pipeline, every script changing something, and whether it is traced."""
    writes = []
    for line in lines:
        command, args = lookup(line.split()), tuple(line.split())
        writes.append(Write(args, pack(args), command, policy_of(command, args)))
    prepared = transaction(Names(), writes, resp3=False)
    reader = hiredis.Reader()
    reader.feed(prepared.payload(TOKEN))
    entries: list[Entry] = []
    while (command_line := reader.gets()) is not False:
        if fields := stored(command_line):
            entries.append((b"%d-0" % (len(entries) + 1), fields))
    return entries, prepared.traced


def stored(command: list[bytes]) -> list[bytes]:
    if command[0] == b"XADD":
        return command[3:]
    if command[:2] == [b"EVALSHA", FLUSH_SHA.encode()]:
        return [b"f", b"1"]
    if command[0] == b"EVALSHA":
        mark = command[5]
        more = [b"m", b"1"] if mark[:1] == b"1" else []
        return [b"v", packed("SREM s x"), *more, *([b"w", mark[1:]] if mark[1:] else [])]
    return []


def expected(lines: list[str]) -> list[str]:
    """The fields that tell the other store of each command, in order."""
    told = {"EXPIRE a 5": "t EXPIRE a 5", "SPOP s": "v SREM s x", "SORT l STORE d": "s d", "FLUSHALL": "f 1"}
    return [told.get(line, f"v {line}") for line in lines if line not in ("GET a", "PUBLISH c m")]


@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=6), st.integers(0, 12))
def test_a_pipeline_arrives_in_order_and_as_one(lines: list[str], cut: int) -> None:
    entries, traced = logged(lines)
    found = grouped(entries[:cut], entries[cut:])
    assert [one for each in found for one in each.fields] == [field(text) for text in expected(lines)]
    assert traced is any(one.token for one in found)
    if traced:
        assert found[-1].token == TOKEN, "known to be shipped only when all of it is"
    if "FLUSHALL" not in lines:
        assert len(found) == bool(expected(lines))


# -- what a group says of itself


def test_keys_that_may_have_changed() -> None:
    one = group("v SET a 1", "t EXPIRE b 5", "s c", "v SUNIONSTORE d a x", "v SET a 2", "v SCRIPT LOAD x")
    assert one.keys == (b"a", b"b", b"c", b"d")
    assert one.by_state
    assert one.ms == MS


def test_what_has_no_key_is_known_apart() -> None:
    one = group("v SET a 1", "v SCRIPT LOAD x", "t EXPIRE a 5", "v FUNCTION FLUSH")
    assert one.keyless == (packed("SCRIPT LOAD x"), packed("FUNCTION FLUSH"))


def test_a_store_that_was_emptied() -> None:
    assert group("v SET a 1", "f 1").empties
    assert not group("v SET f 1").empties


# -- replay


def test_one_command_is_forwarded_untouched() -> None:
    one = group("v SET a 1")
    assert one.replay() == (one.fields[0][1], 1)


def test_several_commands_are_one_transaction() -> None:
    assert replayed(group("v SET a 1", "v INCR b")) == ["MULTI", "SET a 1", "INCR b", "EXEC"]


def test_relative_times_count_from_the_entry() -> None:
    assert replayed(group("t EXPIRE a 5")) == [f"PEXPIREAT a {MS + 5000}"]
    assert replayed(group("v SET a 1", "t SET b 1 PX 5")) == ["MULTI", "SET a 1", f"SET b 1 PXAT {MS + 5}", "EXEC"]


def test_a_timed_command_without_effect_is_nothing() -> None:
    assert replayed(group("t GETEX a")) == []
    assert replayed(group("v SET a 1", "t GETEX a")) == ["SET a 1"]


# -- plan


def test_what_follows_promptly_is_replayed() -> None:
    assert plan(group("v SET a 1"), {}, MS) is None
    assert plan(group("v SET a 1"), {}, MS + REPLAY_WITHIN_MS) is None
    assert plan(group("v SET a 1"), {}, MS - 5000) is None, "clocks differ"


def test_what_is_late_is_copied() -> None:
    late_ms = MS + REPLAY_WITHIN_MS + 1
    assert plan(group("v SET a 1", "t EXPIRE b 5"), {}, late_ms) == (b"a", b"b")
    assert plan(group("v SET a 1", "v INCR a"), {}, late_ms) == (b"a",)
    assert plan(group("v SCRIPT LOAD x"), {}, late_ms) == ()


@pytest.mark.parametrize(
    ("line", "where_keys_last", "in_any_case"),
    [
        ("v RPUSH a x", True, False),
        ("v SET a 1", True, True),
        ("v SET c 1", True, True),
        ("v MSET a 1 c 2", True, True),
        ("v DEL a c", True, True),
        ("v RENAME a b", True, False),
        ("v PERSIST a", True, False),
        ("v RPUSH c x", False, False),
        ("v LMOVE c a LEFT LEFT", False, False),
        ("v PEXPIREAT a 5", False, False),
        ("v SET a 1 KEEPTTL", False, False),
        ("v SET a 1 PXAT 5", False, False),
        ("v RESTORE a 0 x REPLACE", False, False),
        ("t EXPIRE a 5", False, False),
        ("s a", False, False),
        ("f 1", False, False),
    ],
)
def test_what_is_late_is_replayed_if_it_asks_nothing_of_a_key_that_expires(
    line: str, where_keys_last: bool, in_any_case: bool
) -> None:
    late, lasting = MS + REPLAY_WITHIN_MS + 1, {b"a", b"b"}
    assert (plan(group(line), {}, late, lasting) is None) is where_keys_last
    assert (plan(group(line), {}, late) is None) is in_any_case
    assert plan(group(line, "v EXPIREAT a 5"), {}, late, lasting) is not None


def test_keys_expire_unhinted_only_after_replay_has_ended() -> None:
    assert REPLAY_WITHIN_MS < EXPIRY_GUARD_MS


def test_a_group_that_asks_for_a_copy_is_copied_whole() -> None:
    assert plan(group("v INCR a", "s b"), {}, MS) == (b"a", b"b")


@pytest.mark.parametrize(
    ("skip", "keys"),
    [
        ({b"a": (MS, 4)}, None),
        ({b"a": (MS, 5)}, (b"b",)),
        ({b"a": (MS, 6)}, (b"b",)),
        ({b"a": (MS, 5), b"b": (MS + 1, 0)}, ()),
        ({b"x": (MS + 1, 0)}, None),
    ],
)
def test_a_state_that_contains_the_group_is_not_replayed_over(
    skip: dict[bytes, tuple[int, int]], keys: tuple[bytes, ...] | None
) -> None:
    assert plan(group("v INCR a", "v INCR b", at=(MS, 5)), skip, MS) == keys


def test_late_and_copied_already() -> None:
    late_ms = MS + REPLAY_WITHIN_MS + 1
    assert plan(group("v INCR a", "v INCR b"), {b"a": (MS, 0)}, late_ms) == (b"b",)


# -- replies and tokens


@pytest.mark.parametrize(
    ("replies", "found"),
    [([], None), ([b"OK", 1, None], None), ([b"OK", "error", "later"], "error"), ([b"OK", [1, "error"]], "error")],
)
def test_the_first_error(replies: list[Any], found: str | None) -> None:
    error = ResponseError("ERR")
    given_replies = [
        [error if part == "error" else part for part in reply] if isinstance(reply, list)
        else error if reply == "error" else ResponseError("later") if reply == "later" else reply
        for reply in replies
    ]  # fmt: skip
    assert failed(given_replies) is (error if found else None)


WIRE, OTHER = b"aaaaaaaa", b"bbbbbbbb"


def test_the_last_number_of_a_wire_answers_for_all_before() -> None:
    shipped = Shipped()
    shipped.note(token(WIRE, 9))
    shipped.note(token(WIRE, 10))
    shipped.note(None)
    assert [shipped.holds(token(WIRE, number)) for number in (1, 9, 10, 11, 16)] == [True, True, True, False, False]
    assert not shipped.holds(token(OTHER, 1))


def test_shipped_tokens_travel() -> None:
    shipped = Shipped()
    for mark in (token(WIRE, 2), token(OTHER, 300)):
        assert len(mark) == TOKEN_BYTES
        shipped.note(mark)
    there = Shipped.parse(shipped.packed)
    assert there.holds(token(WIRE, 2)) and there.holds(token(OTHER, 300))
    assert not there.holds(token(WIRE, 3)) and not there.holds(token(OTHER, 301))
    assert Shipped.parse(b"").packed == b""


def test_the_wires_heard_of_least_lately_are_forgotten() -> None:
    shipped = Shipped()
    wires = [b"%08d" % number for number in range(KEPT_WIRES)]
    for wire in wires:
        shipped.note(token(wire, 1))
    shipped.note(token(wires[0], 2))
    shipped.note(token(WIRE, 1))
    assert shipped.holds(token(wires[0], 2))
    assert not shipped.holds(token(wires[1], 1))
    assert shipped.holds(token(wires[2], 1)) and shipped.holds(token(WIRE, 1))


# -- the commonest case


def plain(number: int, command: bytes = b"SET") -> tuple[bytes, list[bytes]]:
    return b"%d-0" % number, [b"v", pack((command, b"k", number))]


def test_plain_entries_go_as_one_run() -> None:
    entries = [plain(1), plain(2)]
    run = plain_run(entries, 2)
    assert run is not None
    assert (run.payload, run.size, run.place) == (pack((b"SET", b"k", 1)) + pack((b"SET", b"k", 2)), 2, (2, 0))


def test_a_plain_pipeline_goes_with_them() -> None:
    first, second = plain(1)[1][1], plain(2)[1][1]
    run = plain_run([plain(1), (b"2-0", [b"v", first, b"v", second, b"p", b"1"])], 2)
    assert run is not None
    assert (run.payload, run.size, run.place) == (first + first + second, 3, (2, 0))


@pytest.mark.parametrize(
    "other",
    [
        (b"2-0", [b"t", pack((b"EXPIRE", b"k", 1))]),
        (b"2-0", [b"s", b"k"]),
        (b"2-0", [b"v", pack((b"INCR", b"k")), b"w", b"token"]),
        (b"2-0", [b"v", pack((b"HPEXPIRE", b"k", 1, b"FIELDS", 1, b"f"))]),
        (b"2-0", [b"v", pack((b"SET", b"k", b"x" * RUN_BYTES))]),
        (b"2-0", [b"v", pack((b"SET", b"k", 1)), b"v", pack((b"SET", b"k", 2))]),
        (b"2-0", [b"v", pack((b"SET", b"k", 1)), b"s", b"k", b"p", b"1"]),
        (b"2-0", [b"e", b"1"]),
    ],
)
def test_anything_else_is_looked_into(other: tuple[bytes, list[bytes]]) -> None:
    assert plain_run([plain(1), other], 2) is None


def test_what_is_late_is_looked_into() -> None:
    assert plain_run([plain(1)], 1 + REPLAY_WITHIN_MS) is not None
    assert plain_run([plain(1)], 2 + REPLAY_WITHIN_MS) is None


# -- for a store that keeps no counters of streams (Redis 6.2)


@pytest.mark.parametrize(
    ("logged", "sent"),
    [
        ("XGROUP SETID x g 5-0 ENTRIESREAD 7", "XGROUP SETID x g 5-0"),
        ("xgroup create x g $ mkstream entriesread 7", "xgroup create x g $ mkstream"),
        ("XSETID x 9-0 ENTRIESADDED 9 MAXDELETEDID 3-0", "XSETID x 9-0"),
        ("XGROUP SETID ENTRIESREAD MAXDELETEDID 5-0", "XGROUP SETID ENTRIESREAD MAXDELETEDID 5-0"),
        ("RPUSH ENTRIESREAD ENTRIESADDED", "RPUSH ENTRIESREAD ENTRIESADDED"),
    ],
)
def test_counters_are_left_out_where_they_are_not_understood(logged: str, sent: str) -> None:
    one = group(f"v {logged}")
    assert parsed(one.replay(stream_counters=False)[0]) == [sent]
    assert parsed(one.replay()[0]) == [logged]


def test_an_entry_with_counters_is_looked_into_where_they_are_not_understood() -> None:
    with_counters = entry(1, "v XGROUP SETID x g 5-0 ENTRIESREAD 7")
    assert plain_run([with_counters], 2) is not None
    assert plain_run([with_counters], 2, stream_counters=False) is None
    assert plain_run([entry(1, "v XACK x g 5-0")], 2, stream_counters=False) is not None


# -- what one copy serves for


def together(*lines: str, late: bool = False) -> tuple[str, list[str]]:
    """How each of these goes, S by state, R replayed, and the keys that are copied."""
    logged = [group(line) for line in lines]
    now_ms = MS + (REPLAY_WITHIN_MS + 1 if late else 0)
    went, keys = by_state(logged, [plan(one, {}, now_ms, {b"l"}) for one in logged])
    return "".join("RS"[goes] for goes in went), [key.decode() for key in keys]


def test_one_copy_serves_for_all_that_goes_by_state() -> None:
    assert together("v RPUSH l x", "t EXPIRE a 5", "v RPUSH l y", "v INCR b", late=True) == ("RSRS", ["a", "b"])
    assert together("v INCR a", "v INCR b") == ("RR", [])


def test_what_touches_a_key_of_the_copy_goes_by_state_wherever_it_stands() -> None:
    assert together("v INCR a", "s a", "v GETDEL a") == ("SSS", ["a"])
    assert together("v RPUSH l x", "v COPY l a", "s a") == ("RSS", ["a"])
    assert together("v INCR c", "v RENAME b c", "v RENAME a b", "s a") == ("SSSS", ["a", "b", "c"])


def test_a_flush_or_a_refill_begins_a_part() -> None:
    lines = ["v INCR a", "f 1", "v INCR b", "r 1", "v INCR c", "f 1"]
    assert [len(part) for part in parts(map(group, lines))] == [1, 2, 1, 1, 1]
    assert not list(parts([]))
