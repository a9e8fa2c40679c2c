"""The bytes of a transaction, read back with an independent parser, and what its replies mean."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest
from redis import ResponseError

from hybrid.core.commands import lookup, policy_of
from hybrid.core.expiry_guard import EXPIRY_GUARD_MS
from hybrid.core.log_entry import TOKEN_BYTES, Role
from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.core.scripts import EFFECT_SHA, FLUSH_SHA
from hybrid.core.shipping import groups
from hybrid.core.transaction import ENTRY_BYTES, LARGE_BYTES, MOST_WORDS, Transaction, hint, transaction, verdict
from hybrid.core.write import Write
from hybrid.replication.tail import FEW_ENTRIES

NAMES = Names()
TOKEN = b"t" * TOKEN_BYTES
MARK = TOKEN.decode()
END = ["EXEC", "WATCH hybrid:authority", "GET hybrid:authority"]


def write(*args: Any) -> Write:
    if len(args) == 1:
        args = tuple(args[0].split())
    command = lookup(args)
    return Write(args, pack(args), command, policy_of(command, args))


def made(*lines: str, resp3: bool = False) -> Transaction:
    return transaction(NAMES, [write(line) for line in lines], resp3=resp3)


def commands(packed: bytes) -> list[list[bytes]]:
    """The commands in `packed`, as hiredis understands them; none if it is anything else."""
    if not packed.startswith(b"*"):
        return []
    reader = hiredis.Reader()
    reader.feed(packed)
    found: list[list[bytes]] = []
    while (command := reader.gets()) is not False:
        found.append(command)
    return found


SCRIPTS = {EFFECT_SHA.encode(): "EFFECT", FLUSH_SHA.encode(): "FLUSH"}


def shown(part: bytes) -> str:
    if inner := commands(part):
        return f"<{shown_command(inner[0])}>"
    return SCRIPTS.get(part) or part.decode()


def shown_command(command: list[bytes]) -> str:
    return " ".join(shown(part) for part in command)


def sent(prepared: Transaction, token: bytes = TOKEN) -> list[str]:
    """The request as text: one line a command, a packed command inside another in <>."""
    return [shown_command(command) for command in commands(prepared.payload(token))]


def body(*lines: str, resp3: bool = False) -> list[str]:
    """What stands between MULTI and EXEC."""
    prepared = made(*lines, resp3=resp3)
    request = sent(prepared)
    assert [request[0], *request[-3:]] == ["MULTI", *END]
    between = request[1:-3]
    assert len(between) == len(prepared.parts)
    assert prepared.replies == len(request), "one reply for each command"
    return between


def log(fields: str) -> str:
    return f"XADD hybrid:log * {fields}"


ALONE = {
    "SET k v": ["SET k v", log("v <SET k v>")],
    "SET k v GET": ["PTTL k", "SET k v GET", log(f"v <SET k v GET> w {MARK}")],
    "GET k": ["GET k"],
    "PUBLISH c m": ["PUBLISH c m"],
    "INCR k": ["PTTL k", "INCR k", log(f"v <INCR k> w {MARK}")],
    "SADD k m": ["PTTL k", "SADD k m", log("v <SADD k m>")],
    "SET k v EX 5": ["SET k v EX 5", log("t <SET k v EX 5>")],
    "EXPIRE k 5": ["PTTL k", "EXPIRE k 5", log("t <EXPIRE k 5>")],
    "RENAMENX a b": ["PTTL a", "PTTL b", "RENAMENX a b", log(f"v <RENAMENX a b> w {MARK}")],
    "SORT k STORE d": ["SORT k STORE d", log("s d")],
    "EVAL return 2 a b": ["EVAL return 2 a b", log(f"s a s b w {MARK}")],
    "EVAL return 0 a": ["EVAL return 0 a", log(f"e 1 w {MARK}")],
    "SPOP k": ["PTTL k", f"EVALSHA EFFECT 2 hybrid:log k 0{MARK} 2 SPOP k"],
    "INCRBYFLOAT k 1.5": ["PTTL k", f"EVALSHA EFFECT 2 hybrid:log k 0{MARK} 2 INCRBYFLOAT k 1.5"],
    "FLUSHALL": ["EVALSHA FLUSH 1 hybrid:log 1"],
    "SCRIPT LOAD x": ["SCRIPT LOAD x", log("v <SCRIPT LOAD x>")],
}


@pytest.mark.parametrize("line", ALONE)
def test_one_command(line: str) -> None:
    assert body(line) == ALONE[line]


PIPELINES = {
    ("SET a 1", "SET b 2"): ["SET a 1", "SET b 2", log("v <SET a 1> v <SET b 2>")],
    ("INCR a", "INCR a"): ["PTTL a", "INCR a", "INCR a", log(f"v <INCR a> v <INCR a> w {MARK}")],
    ("GET a", "SET a 1", "GET a"): ["GET a", "SET a 1", "GET a", log("v <SET a 1>")],
    ("SET a 1", "PUBLISH c m"): ["SET a 1", "PUBLISH c m", log(f"v <SET a 1> w {MARK}")],
    ("SET a 1", "SPOP s"): [
        "PTTL s", "SET a 1", log("v <SET a 1> m 1"), "EVALSHA EFFECT 2 hybrid:log s 1 2 SPOP s", log(f"e 1 w {MARK}"),
    ],
    ("SPOP s", "SET a 1"): [
        "PTTL s", "EVALSHA EFFECT 2 hybrid:log s 1 2 SPOP s", "SET a 1", log(f"v <SET a 1> w {MARK}"),
    ],
    ("SPOP s", "SPOP t"): [
        "PTTL s", "PTTL t",
        "EVALSHA EFFECT 2 hybrid:log s 1 2 SPOP s", "EVALSHA EFFECT 2 hybrid:log t 1 2 SPOP t", log(f"e 1 w {MARK}"),
    ],
    ("GET a", "SPOP s", "GET a"): ["PTTL s", "GET a", f"EVALSHA EFFECT 2 hybrid:log s 0{MARK} 2 SPOP s", "GET a"],
    ("SET a 1", "FLUSHALL", "SET b 2"): [
        "SET a 1", log("v <SET a 1> m 1"), "EVALSHA FLUSH 1 hybrid:log 1", "SET b 2", log("v <SET b 2>"),
    ],
    ("SET a 1", "SORT l STORE d", "EXPIRE a 5"): [
        "PTTL a", "SET a 1", "SORT l STORE d", "EXPIRE a 5", log("v <SET a 1> s d t <EXPIRE a 5>"),
    ],
    ("SET a 1 PX 9", "INCR a", "INCR b"): [
        "PTTL a", "PTTL b", "SET a 1 PX 9", "INCR a", "INCR b",
        log(f"t <SET a 1 PX 9> v <INCR a> v <INCR b> w {MARK}"), "PTTL a",
    ],
    ("SADD a m", "PEXPIRE a 9", "RENAMENX a b", "SADD b n"): [
        "PTTL a", "PTTL b", "SADD a m", "PEXPIRE a 9", "RENAMENX a b", "SADD b n",
        log(f"v <SADD a m> t <PEXPIRE a 9> v <RENAMENX a b> v <SADD b n> w {MARK}"), "PTTL a", "PTTL b",
    ],
    ("SETEX a 9 1", "SETEX a 9 2"): ["SETEX a 9 1", "SETEX a 9 2", log("t <SETEX a 9 1> t <SETEX a 9 2>")],
}  # fmt: skip


@pytest.mark.parametrize("lines", PIPELINES, ids=" ; ".join)
def test_a_pipeline(lines: tuple[str, ...]) -> None:
    assert body(*lines) == PIPELINES[lines]


@pytest.mark.parametrize("first", ["SET", "APPEND"])
@pytest.mark.parametrize("atomic", [True, False])
def test_a_transaction_of_many_bytes_is_logged_in_several_entries_of_one_group(first: str, atomic: bool) -> None:
    writes = [write(first, f"k{number}", "x" * 30_000) for number in range(12)]
    prepared = transaction(NAMES, writes, resp3=False, atomic=atomic)
    added = [command for command in commands(prepared.payload(TOKEN)) if command[0] == b"XADD"]
    assert len(added) > 1 and all(sum(map(len, command)) < ENTRY_BYTES + LARGE_BYTES for command in added)
    entries = [(b"%d-0" % number, command[3:]) for number, command in enumerate(added)]
    [group] = groups(entries, [])
    assert group.commands == tuple(each.packed for each in writes)
    assert (group.atomic, group.token) == (atomic, None if first == "SET" else TOKEN)


@pytest.mark.parametrize("item_bytes", [LARGE_BYTES, ENTRY_BYTES // 2 + 1, ENTRY_BYTES - 100])
def test_so_many_entries_as_are_read_with_care_fit_into_one_reply_of_a_service(item_bytes: int) -> None:
    """Or else a log of them can be merged nowhere."""
    writes = [write("RPUSH", "k", b"x" * item_bytes) for _ in range(12)]
    prepared = transaction(NAMES, writes, resp3=False)
    added = [command for command in commands(prepared.payload(TOKEN)) if command[0] == b"XADD"]
    assert FEW_ENTRIES * max(sum(map(len, command)) for command in added) < 10_000_000


def test_the_script_is_told_the_protocol() -> None:
    assert body("SPOP k", resp3=True)[-1] == f"EVALSHA EFFECT 2 hybrid:log k 0{MARK} 3 SPOP k"


def test_the_words_of_a_name_are_arguments_of_the_script() -> None:
    prepared = transaction(NAMES, [write("XADD", "s", "*", "field", "two words")], resp3=False)
    assert commands(prepared.payload(TOKEN))[2][-5:] == [b"XADD", b"s", b"*", b"field", b"two words"]


def test_a_guarded_key_is_asked_once_and_as_the_server_sees_it() -> None:
    keys: list[Any] = ["k", b"k", bytearray(b"k"), memoryview(b"k"), "é", 5, "5"]
    prepared = transaction(NAMES, [write("INCR", key) for key in keys], resp3=False)
    assert prepared.guarded == ((b"k",), ("é".encode(),), (b"5",))
    assert [part.role for part in prepared.parts[:3]] == [Role.GUARD] * 3


def test_another_prefix() -> None:
    request = sent(transaction(Names(b"drill:"), [write("SPOP k"), write("SET a 1")], resp3=False))
    assert [line for line in request if "hybrid:" in line] == []
    assert sum("drill:log" in line for line in request) == 2
    assert request[-2:] == ["WATCH drill:authority", "GET drill:authority"]


@pytest.mark.parametrize("value_bytes", [LARGE_BYTES - 200, LARGE_BYTES + 1])
def test_a_large_value_is_logged_by_the_state_of_its_key(value_bytes: int) -> None:
    value = b"x" * value_bytes
    request = commands(transaction(NAMES, [write("SET", "k", value)], resp3=False).payload(TOKEN))
    assert request[1] == [b"SET", b"k", value]
    by_state = value_bytes > LARGE_BYTES
    assert request[2][3:] == ([b"s", b"k"] if by_state else [b"v", pack(("SET", "k", value))])


@pytest.mark.parametrize(
    ("items", "by_state"),
    [
        ([b"x" * (LARGE_BYTES + 1)], False),
        ([b"x" * (ENTRY_BYTES + 1)], True),
        ([b"x" * 9] * MOST_WORDS, True),
    ],
    ids=["one item", "too large for an entry", "too many for a script"],
)
def test_a_large_item_is_logged_as_it_is_added(items: list[bytes], by_state: bool) -> None:
    """The state of its key is all that was added before, too: a queue would be copied whole with every item."""
    request = commands(transaction(NAMES, [write("RPUSH", "k", *items)], resp3=False).payload(TOKEN))
    [added] = [command for command in request if command[0] == b"XADD"]
    assert added[3:5] == ([b"s", b"k"] if by_state else [b"v", pack(("RPUSH", "k", *items))])


def test_a_large_command_without_keys_is_logged_as_it_is() -> None:
    library = b"#!lua name=x\n" + b"-" * LARGE_BYTES
    prepared = transaction(NAMES, [write("FUNCTION LOAD", library)], resp3=False)
    assert commands(prepared.payload(TOKEN))[2][3:5] == [b"v", pack(("FUNCTION LOAD", library))]


def test_every_written_key_of_a_large_command_is_copied() -> None:
    prepared = transaction(NAMES, [write("MSET", "a", b"x" * LARGE_BYTES, "b", "1")], resp3=False)
    assert commands(prepared.payload(TOKEN))[2][3:] == [b"s", b"a", b"s", b"b"]


@pytest.mark.parametrize(
    ("lines", "name", "idempotent", "traced", "scripted"),
    [
        (["SET k v"], "SET", True, False, False),
        (["INCR k"], "INCR", False, True, False),
        (["SPOP k"], "SPOP", False, True, True),
        (["FLUSHALL"], "FLUSHALL", True, False, True),
        (["SET k v", "GET k"], "pipeline", True, False, False),
        (["SET k v", "INCR k"], "pipeline", False, True, False),
        (["PUBLISH c m"], "PUBLISH", False, False, False),
    ],
)
def test_what_a_driver_must_know(lines: list[str], name: str, idempotent: bool, traced: bool, scripted: bool) -> None:
    prepared = made(*lines)
    assert (prepared.name, prepared.idempotent, prepared.traced, prepared.scripted, prepared.size) == (
        (name, idempotent, traced, scripted, len(lines))
    )


@pytest.mark.parametrize("lines", [("INCR k",), ("SPOP k",), ("SET a 1", "SPOP s"), ("SPOP s", "SET a 1")])
def test_a_token_of_its_own_for_each_attempt(lines: tuple[str, ...]) -> None:
    prepared = made(*lines)
    first, second = prepared.payload(b"1" * TOKEN_BYTES), prepared.payload(b"2" * TOKEN_BYTES)
    assert first.count(b"1" * TOKEN_BYTES) == second.count(b"2" * TOKEN_BYTES) == 1
    assert first.replace(b"1" * TOKEN_BYTES, b"2" * TOKEN_BYTES) == second


def test_without_a_trace_the_token_is_left_out() -> None:
    prepared = made("SET k v")
    assert prepared.payload(TOKEN) == prepared.payload(b"")
    assert TOKEN not in prepared.payload(TOKEN)


def test_a_hint_logs_the_state_and_nothing_else() -> None:
    prepared = hint(NAMES, [b"a", b"b"])
    assert sent(prepared) == ["MULTI", log("s a s b"), *END]
    assert (prepared.idempotent, prepared.traced, prepared.size) == (True, False, 0)
    assert prepared.unseen == (b"a", b"b")
    result = verdict(prepared, [b"7-1"])
    assert (result.replies, result.position, result.expiring) == ([], (7, 1), ())


# -- what came back


def test_replies_in_the_order_of_the_commands() -> None:
    result = verdict(made("INCR a", "GET b", "SPOP s"), [-1, -2, 5, b"b", b"1-0", [b"member", b"1-1"], b"1-2"])
    assert (result.replies, result.position, result.expiring) == ([5, b"b", b"member"], (1, 2), ())


def test_the_place_is_that_of_the_last_entry() -> None:
    assert verdict(made("SPOP s"), [-1, [b"member", b"9-3"]]).position == (9, 3)
    assert verdict(made("FLUSHALL"), [[b"OK", b"9-4"]]).position == (9, 4)


def test_nothing_is_logged_for_an_effect_that_there_was_not() -> None:
    result = verdict(made("SPOP s"), [-2, [None, None]])
    assert (result.replies, result.position) == ([None], None)
    assert verdict(made("GET k"), [b"v"]).position is None


def test_a_silent_effect_has_no_place_of_its_own() -> None:
    prepared = made("SET a 1", "FLUSHALL")
    assert [part.role for part in prepared.parts] == [Role.REPLY, Role.LOGGED, Role.EFFECT, Role.LOGGED]
    assert verdict(prepared, [b"OK", b"3-0", [b"OK", None], b"3-1"]).position == (3, 1)


def test_errors_stand_in_their_places() -> None:
    wrong, refused = ResponseError("WRONGTYPE"), ResponseError("ERR")
    result = verdict(made("INCR a", "SPOP s", "SET b 1"), [-1, -1, wrong, b"1-0", refused, b"OK", b"1-2"])
    assert result.replies == [wrong, refused, b"OK"]
    assert result.position == (1, 2)


@pytest.mark.parametrize(
    ("left_ms", "expiring"),
    [(-2, False), (-1, False), (0, True), (EXPIRY_GUARD_MS - 1, True), (EXPIRY_GUARD_MS, False)],
)
def test_keys_about_to_expire(left_ms: int, expiring: bool) -> None:
    result = verdict(made("INCR a", "INCR b"), [-1, left_ms, 1, 1, b"1-0"])
    assert result.expiring == ((b"b",) if expiring else ())


def test_a_key_that_is_about_to_expire_is_logged_once_more_once() -> None:
    result = verdict(made("SET a 1 PX 9", "INCR a"), [1, b"OK", 2, b"1-0", 9])
    assert (result.replies, result.expiring) == ([b"OK", 2], (b"a",))


def test_keys_that_depend_on_each_other_are_logged_together() -> None:
    prepared = made("SMOVE a b m", "SMOVE c d m", "INCR e", "SMOVE d a m")
    places = [part.number for part in prepared.parts if part.role is Role.GUARD]
    together = [set(prepared.guarded[number]) for number in places]
    assert together == [{b"a", b"b", b"c", b"d"}] * 4 + [{b"e"}]
    result = verdict(prepared, [-1, 5, -1, 7, -1, 1, 1, 1, 1, b"1-0"])
    assert sorted(result.expiring) == [b"a", b"b", b"c", b"d"]


def test_many_keys_that_depend_on_one() -> None:
    """With a step of each key for every other one, this would take minutes."""
    prepared = made(*(f"SMOVE hub k{number} m" for number in range(20_000)))
    replies = {Role.GUARD: 5, Role.REPLY: 1, Role.LOGGED: b"1-0"}
    result = verdict(prepared, [replies[part.role] for part in prepared.parts])
    assert len(result.expiring) == 20_001


def test_a_guard_that_fails_guards_nothing() -> None:
    assert verdict(made("INCR a"), [ResponseError("ERR"), 1, b"1-0"]).expiring == ()


def test_replies_that_are_missing_are_not_overlooked() -> None:
    with pytest.raises(ValueError):
        verdict(made("INCR a"), [-1, 1])


def test_a_later_place_of_the_hint_counts() -> None:
    result = verdict(made("SET a 1"), [b"OK", b"1-0"])
    assert result.at((2, 0)).position == (2, 0)
    assert result.at(None) == result
