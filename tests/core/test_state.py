from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest

from hybrid.core.state import (
    ABSENT,
    Body,
    Group,
    Hash,
    Json,
    KeyState,
    List,
    Pending,
    Set,
    Stream,
    String,
    Unsupported,
    ZSet,
    differences,
    findings,
    plan_put,
)
from hybrid.core.state_replies import body_of, hash_of, log_position, pairs, scores_of
from hybrid.errors import CommandRefused

KINDS: dict[type, str] = {
    String: "string",
    Hash: "hash",
    List: "list",
    Set: "set",
    ZSet: "zset",
    Stream: "stream",
    Json: "json",
    Unsupported: "TSDB-TYPE",
}
PENDING = Pending(b"1-0", b"ann", 5_000_000, 2)
GROUP = Group(b"2-0", 2, frozenset({b"ann", b"bob"}), (PENDING,))
STREAM = Stream(((b"1-0", (b"f", b"v")), (b"2-0", (b"f", b"w"))), b"2-0", 2, b"0-0", {b"g": GROUP})


def state(body: Body, expires_at_ms: int | None = None) -> KeyState:
    return KeyState(KINDS[type(body)], expires_at_ms, body)


def plan(body: Body, expires_at_ms: int | None = None, **options: Any) -> list[list[list[bytes]]]:
    return plan_put(b"k", state(body, expires_at_ms), b"hybrid:tmp:1", **options)


def with_group(**changes: object) -> Stream:
    return replace(STREAM, groups={b"g": replace(GROUP, **changes)})  # type: ignore[arg-type]


class TestPlan:
    def test_absent_is_one_del(self) -> None:
        assert plan_put(b"k", ABSENT, b"t") == [[[b"UNLINK", b"k"]]]

    def test_a_string_is_one_set(self) -> None:
        assert plan(String(b"v")) == [[[b"SET", b"k", b"v"]]]
        assert plan(String(b"v"), 99) == [[[b"SET", b"k", b"v", b"PXAT", b"99"]]]

    @pytest.mark.parametrize(
        ("body", "command"),
        [
            (Hash({b"a": b"1", b"b": b"2"}, {}), [b"HSET", b"k", b"a", b"1", b"b", b"2"]),
            (List((b"x", b"y")), [b"RPUSH", b"k", b"x", b"y"]),
            (Set(frozenset({b"m"})), [b"SADD", b"k", b"m"]),
            (ZSet({b"m": b"-inf"}), [b"ZADD", b"k", b"-inf", b"m"]),
            (Json(b"{}"), [b"JSON.SET", b"k", b"$", b"{}"]),
        ],
    )
    def test_a_small_collection_is_one_group(self, body: Body, command: list[bytes]) -> None:
        assert plan(body) == [[[b"UNLINK", b"k"], command]]
        assert plan(body, 99) == [[[b"UNLINK", b"k"], command, [b"PEXPIREAT", b"k", b"99"]]]

    def test_fields_of_one_moment_share_a_command(self) -> None:
        body = Hash({b"a": b"1", b"b": b"2", b"c": b"3"}, {b"a": 7, b"b": 8, b"c": 7})
        assert plan(body)[0][2:] == [
            [b"HPEXPIREAT", b"k", b"7", b"FIELDS", b"2", b"a", b"c"],
            [b"HPEXPIREAT", b"k", b"8", b"FIELDS", b"1", b"b"],
        ]
        assert len(plan(body, field_ttl=False)[0]) == 2

    @pytest.mark.parametrize(
        "body",
        [
            String(bytes(1000)),
            Hash({b"%d" % i: b"v" for i in range(100)}, {b"%d" % i: 5 for i in range(100)}),
            List(tuple(b"%d" % i for i in range(100))),
            Set(frozenset(b"%d" % i for i in range(100))),
            ZSet({b"%d" % i: b"1" for i in range(100)}),
            Stream(tuple((b"%d-0" % i, (b"f", b"v")) for i in range(1, 100)), b"99-0", 99, b"0-0", {}),
        ],
    )
    def test_a_large_value_fills_the_temporary_key_and_is_renamed_last(self, body: Body) -> None:
        *filling, last = plan(body, 99, most_work=200)
        timed = [command for command in last if command[0] == b"HPEXPIREAT"]
        rest = [command for command in last if command not in timed]
        assert rest == [[b"UNLINK", b"k"], [b"RENAME", b"hybrid:tmp:1", b"k"], [b"PEXPIREAT", b"k", b"99"]]
        assert len(timed) == isinstance(body, Hash), "the last fields to expire do so once the key is in place"
        assert filling[0][0] == [b"UNLINK", b"hybrid:tmp:1"]
        assert [b"EXPIRE", b"hybrid:tmp:1", b"86400"] in chain.from_iterable(filling[:3])
        assert plan(body, most_work=200)[-1][-1] == [b"PERSIST", b"k"]
        assert all(command[1] == b"hybrid:tmp:1" for group in filling for command in group)
        # a string chunk carries exactly most_work of payload besides the names
        assert all(sum(map(len, command)) <= 230 for group in filling for command in group)
        assert len(filling) > 4

    @pytest.mark.parametrize(
        "body",
        [
            Hash({b"%d" % i: b"v" for i in range(20_000)}, {}),
            List((b"1",) * 20_000),
            Set(frozenset(b"%d" % i for i in range(20_000))),
            ZSet({b"%d" % i: b"1" for i in range(20_000)}),
        ],
    )
    def test_no_group_keeps_a_server_busy_with_many_small_elements(self, body: Body) -> None:
        groups = plan(body)
        assert len(groups) > 3
        assert max(sum(map(len, group)) for group in groups) < 6000

    def test_every_element_is_in_exactly_one_chunk_in_order(self) -> None:
        items = tuple(b"%d" % i for i in range(500))
        *filling, _ = plan(List(items), most_work=200)
        commands = chain.from_iterable(filling)
        assert tuple(item for command in commands if command[0] == b"RPUSH" for item in command[2:]) == items

    def test_an_element_larger_than_a_chunk_goes_alone(self) -> None:
        *filling, _ = plan(List((b"a", bytes(1000), b"b")), most_work=200)
        pushes = [command for group in filling for command in group if command[0] == b"RPUSH"]
        assert [len(command) - 2 for command in pushes] == [1, 1, 1]

    def test_a_stream_that_its_entries_describe_needs_no_xsetid(self) -> None:
        assert [command[0] for command in plan(replace(STREAM, groups={}))[0]] == [b"UNLINK", b"XADD", b"XADD"]

    def test_stream_options_are_left_out_for_servers_without_them(self) -> None:
        commands = list(chain.from_iterable(plan(replace(STREAM, last_id=b"9-0"), stream_counters=False)))
        assert [b"XSETID", b"k", b"9-0"] in commands
        assert [b"XGROUP", b"CREATE", b"k", b"g", b"2-0"] in commands

    def test_deliveries_of_one_consumer_and_time_share_a_command(self) -> None:
        deliveries = (PENDING, replace(PENDING, entry_id=b"2-0"))
        commands = plan(with_group(pending=deliveries))[0]
        claims = [command for command in commands if command[0] == b"XCLAIM"]
        claim = b"XCLAIM k g ann 0 1-0 2-0 TIME 5000000 RETRYCOUNT 2 FORCE JUSTID"
        assert claims == [claim.split()]
        assert [b"XGROUP", b"CREATECONSUMER", b"k", b"g", b"bob"] in commands

    def test_a_module_type_goes_by_its_dump_or_is_refused_by_name(self) -> None:
        restored = KeyState("TSDB-TYPE", 5, Unsupported(b"dump"))
        command = [b"RESTORE", b"k", b"5", b"dump", b"REPLACE", b"ABSTTL"]
        assert plan_put(b"k", restored, b"hybrid:tmp:x") == [[command]]
        with pytest.raises(CommandRefused, match="TSDB-TYPE"):
            plan(Unsupported())


def planted() -> Iterator[tuple[Body, Body, str]]:
    fields = Hash({b"a": b"1", b"b": b"2"}, {b"a": 50_000})
    yield String(b"v"), String(b"w"), "value"
    yield String(b"5"), Set(frozenset({b"5"})), "type"
    yield fields, replace(fields, fields={b"a": b"1", b"b": b"3"}), "fields"
    yield fields, replace(fields, fields={b"a": b"1"}), "fields"
    yield fields, replace(fields, field_expires_at_ms={}), "field ttl"
    yield fields, replace(fields, field_expires_at_ms={b"a": 51_001}), "field ttl"
    yield List((b"a", b"b")), List((b"b", b"a")), "order"
    yield List((b"a", b"b")), List((b"a", b"c")), "items"
    yield List((b"a", b"b")), List((b"a", b"b", b"b")), "items"
    yield Set(frozenset({b"a"})), Set(frozenset({b"a", b"b"})), "members"
    yield ZSet({b"a": b"1"}), ZSet({b"b": b"1"}), "members"
    yield ZSet({b"a": b"1"}), ZSet({b"a": b"1.0000000000000002"}), "scores"
    yield ZSet({b"a": b"inf"}), ZSet({b"a": b"-inf"}), "scores"
    yield STREAM, replace(STREAM, entries=STREAM.entries[:1]), "stream entries"
    yield STREAM, replace(STREAM, last_id=b"3-0"), "stream last id"
    yield STREAM, replace(STREAM, entries_added=3), "stream counters"
    yield STREAM, replace(STREAM, max_deleted_id=b"1-0"), "stream counters"
    yield STREAM, replace(STREAM, groups={}), "stream group"
    yield STREAM, with_group(last_delivered_id=b"1-0"), "stream group"
    yield STREAM, with_group(entries_read=None), "stream group"
    yield STREAM, with_group(consumers=frozenset({b"ann"})), "stream consumer"
    yield STREAM, with_group(pending=()), "stream pending"
    yield STREAM, with_group(pending=(replace(PENDING, consumer=b"bob"),)), "stream pending"
    yield STREAM, with_group(pending=(replace(PENDING, delivery_count=3),)), "stream pending"
    yield STREAM, with_group(pending=(replace(PENDING, delivered_at_ms=5_060_001),)), "stream pending"
    yield Json(b'{"a":1}'), Json(b'{"a":2}'), "value"
    yield Json(b"[1]"), Json(b"[true]"), "value"
    yield Unsupported(), Unsupported(), "unsupported type"
    yield Unsupported(b"a"), Unsupported(b"b"), "unsupported type"


class TestDifferences:
    @pytest.mark.parametrize(("a", "b", "cause"), list(planted()))
    def test_each_cause_is_found_both_ways_and_alone(self, a: Body, b: Body, cause: str) -> None:
        assert differences(state(a), state(b)) == (cause,)
        assert differences(state(b), state(a)) == (cause,)

    @pytest.mark.parametrize("body", [a for a, _, _ in planted() if not isinstance(a, Unsupported)])
    def test_a_state_equals_itself(self, body: Body) -> None:
        assert differences(state(body, 5), state(body, 5)) == ()

    @pytest.mark.parametrize(
        ("a", "b"),
        [
            (ZSet({b"m": b"0.10000000000000001"}), ZSet({b"m": b"0.1"})),
            (Json(b'{"a":1,"b":2}'), Json(b'{"b": 2, "a": 1}')),
            (STREAM, replace(STREAM, entries_added=None, max_deleted_id=None)),
            (STREAM, with_group(pending=(replace(PENDING, delivered_at_ms=5_060_000),))),
            (Hash({b"a": b"1"}, {b"a": 5000}), Hash({b"a": b"1"}, {b"a": 6000})),
        ],
    )
    def test_what_counts_as_equal(self, a: Body, b: Body) -> None:
        assert differences(state(a), state(b)) == ()

    def test_expiry(self) -> None:
        value = String(b"v")
        assert differences(state(value, 5000), state(value, 6000)) == ()
        assert differences(state(value, 5000), state(value, 6001)) == ("ttl",)
        assert differences(state(value, 5000), state(value)) == ("ttl",)
        assert differences(state(value, 5000), state(value, 5001), ttl_tolerance_ms=0) == ("ttl",)

    def test_several_causes_at_once(self) -> None:
        assert differences(state(String(b"v"), 5), state(String(b"w"))) == ("value", "ttl")

    def test_findings_show_text_as_people_read_it(self) -> None:
        long = "ã" * 40
        for value, words in (
            ("São; \n", "'São; \\n'"),
            (b"a\xc3", "b'a\\xc3'"),
            (long, f"'{long[:30]}'... (80 bytes)"),
            (f"a{long}", f"'a{long[:29]}'... (81 bytes)"),
        ):
            held = String(value.encode() if isinstance(value, str) else value)
            [finding] = findings(state(held), state(String(b"")))
            assert (finding.here, finding.there) == (words, "''")

    def test_findings_show_where(self) -> None:
        [finding] = findings(state(List((b"a", b"b"))), state(List((b"a",))))
        assert (finding.here, finding.there) == ("2 items, [1] = 'b'", "1 items, [1] = absent")
        value = String(b"v")
        [finding] = findings(state(value, 1_796_070_801_206), state(value, 2**62))
        assert (finding.here, finding.there) == ("expires 2026-11-30 20:33:21 UTC", f"expires at {2**62} ms")


class TestReplies:
    def test_maps_of_both_protocols(self) -> None:
        assert pairs([b"a", 1, b"b", 2]) == pairs({b"a": 1, b"b": 2}) == {b"a": 1, b"b": 2}

    def test_scores_of_both_protocols(self) -> None:
        assert scores_of([b"m", b"0.5", b"n", b"inf"]) == scores_of([[b"m", 0.5], [b"n", float("inf")]])

    def test_a_score_keeps_every_bit(self) -> None:
        [text] = scores_of([[b"m", 0.1 + 0.2]]).values()
        assert float(text) == 0.1 + 0.2

    def test_documents_and_absent_keys(self) -> None:
        assert body_of(b"ReJSON-RL", b"[1]") == Json(b"[1]")
        assert body_of(b"json", None) is None
        assert body_of(b"string", b"") == String(b"")
        assert body_of(b"list", []) is None

    def test_fields_that_do_not_expire_have_no_moment(self) -> None:
        assert hash_of([[b"a", b"1", b"b", b"2"], [-1, 7]]) == Hash({b"a": b"1", b"b": b"2"}, {b"b": 7})

    def test_a_field_that_is_just_over_is_gone(self) -> None:
        assert hash_of([[b"a", b"1", b"b", b"2"], [-2, 7]]) == Hash({b"b": b"2"}, {b"b": 7})
        assert hash_of([[b"a", b"1"], [-2]]) is None

    def test_log_position(self) -> None:
        assert log_position({b"last-generated-id": b"5-1"}) == b"5-1"
        assert log_position(ValueError("no such key")) == b"0-0"
        with pytest.raises(ValueError, match="WRONGTYPE"):
            log_position(ValueError("WRONGTYPE"))
