"""Relative times made absolute, and blocking commands without blocking: compared with what real servers do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from servers import Pool, client, wait_until

from hybrid.core.effects import Blocking, absolute, blocking_twin, without_waiting
from hybrid.errors import CommandRefused

NOW_MS = 1_000_000
TOLERANCE_MS = 2000


def rewritten(line: str, entry_ms: int = NOW_MS) -> list[str]:
    return [b" ".join(command).decode() for command in absolute([word.encode() for word in line.split()], entry_ms)]


REWRITES = {
    "EXPIRE k 5": "PEXPIREAT k 1005000",
    "expire k -5 NX": "PEXPIREAT k 995000 NX",
    "PEXPIRE k 5 XX GT": "PEXPIREAT k 1000005 XX GT",
    "SETEX k 5 v": "SET k v PXAT 1005000",
    "PSETEX k 5 v": "SET k v PXAT 1000005",
    "SET k v EX 5": "SET k v PXAT 1005000",
    "SET k EX NX px 5 GET": "SET k EX NX PXAT 1000005 GET",
    "SET k v IFEQ EX EX 5": "SET k v IFEQ EX PXAT 1005000",
    "SET k v PXAT 7": "SET k v PXAT 7",
    "SET k v": "SET k v",
    "GETEX k EX 5": "GETEX k PXAT 1005000",
    "GETEX k PX 5": "GETEX k PXAT 1000005",
    "GETEX k PERSIST": "GETEX k PERSIST",
    "GETEX k EXAT 5": "GETEX k EXAT 5",
    "HEXPIRE h 5 LT FIELDS 2 a b": "HPEXPIREAT h 1005000 LT FIELDS 2 a b",
    "HPEXPIRE h 0 FIELDS 1 a": "HPEXPIREAT h 1000000 FIELDS 1 a",
    "HSETEX h FNX EX 5 FIELDS 1 a EX": "HSETEX h FNX PXAT 1005000 FIELDS 1 a EX",
    "HSETEX h FIELDS 1 EX PX PX 5": "HSETEX h FIELDS 1 EX PX PXAT 1000005",
    "HGETEX h EX 5 FIELDS 2 a PX": "HPEXPIREAT h 1005000 FIELDS 2 a PX",
    "HGETEX h PERSIST FIELDS 1 a": "HPERSIST h FIELDS 1 a",
    "HGETEX h PXAT 5 FIELDS 1 a": "HGETEX h PXAT 5 FIELDS 1 a",
    "MSETEX 2 a EX b 1 NX EX 5": "MSETEX 2 a EX b 1 NX PXAT 1005000",
    "RESTORE k 5 payload REPLACE": "RESTORE k 1000005 payload REPLACE ABSTTL",
    "RESTORE k 0 payload": "RESTORE k 0 payload",
    "RESTORE k 5 payload ABSTTL": "RESTORE k 5 payload ABSTTL",
}


@pytest.mark.parametrize("line", REWRITES)
def test_relative_becomes_absolute(line: str) -> None:
    assert rewritten(line) == [REWRITES[line]]


@pytest.mark.parametrize("line", ["GETEX k", "HGETEX h FIELDS 1 a"])
def test_a_read_has_no_effect(line: str) -> None:
    assert rewritten(line) == []


REFUSED = """
EXPIRE k | EXPIRE k x | EXPIRE k 1.5 | EXPIRE k +5 | EXPIRE k 05 | EXPIRE k 9223372036854775 | SET k v EX
EXPIRE k -9223372036854776 | EXPIRE k -9223372036854775808
SET k v PX -1 | SET k v EX 1 PX 1 | SET k v PX 9223372036854775807 | SETEX k 0 v | SETEX k 1 | SETEX k 1 v w
PSETEX k -1 v | SET k v EX 0 | MSETEX 1 k v EX 0 | GETEX k EX 0 | GETEX k PX 1 EX 1 | RESTORE k -1 p | RESTORE k
HEXPIRE h -1 FIELDS 1 a | HSETEX h EX -1 FIELDS 1 a v | HSETEX h EX 1 PX 1 FIELDS 1 a v | HGETEX h EX -1 FIELDS 1 a
HGETEX h EX 1 PERSIST FIELDS 1 a | HGETEX h EX 1 | HGETEX h | HPEXPIRE h x FIELDS 1 a
"""


@pytest.mark.parametrize("line", [line.strip() for line in REFUSED.strip().replace("\n", "|").split("|")])
def test_what_servers_refuse_stays_refused(line: str, valkey: Any) -> None:
    connection = client(valkey.url)
    connection.set("k", "v")
    connection.hset("h", "a", "1")
    assert rewritten(line, entry_ms=server_ms(connection)) == [line]
    with pytest.raises(redis.ResponseError):
        connection.execute_command(*line.split())


def test_another_command_is_a_bug() -> None:
    with pytest.raises(ValueError, match="INCR"):
        absolute([b"INCR", b"k"], NOW_MS)


# --- on servers: run the original on one, and what it is rewritten to on the other ----------------------------------


Pair = tuple[redis.Redis, redis.Redis]


@pytest.fixture(params=["valkey", "redis"])
def pair(request: pytest.FixtureRequest, server_pool: Pool) -> Pair:
    return tuple(raw(server_pool.get(request.param, role).url) for role in ("local", "cloud"))


@pytest.fixture
def valkeys(server_pool: Pool) -> Pair:
    return tuple(raw(server_pool.get("valkey", role).url) for role in ("local", "cloud"))


def raw(url: str, protocol: int = 2) -> redis.Redis:
    connection = client(url, protocol=protocol)
    connection.response_callbacks.clear()
    return connection


def server_ms(connection: redis.Redis) -> int:
    seconds, microseconds = map(int, connection.execute_command("TIME"))
    return seconds * 1000 + microseconds // 1000


def replay_one(pair: Pair, *command: Any) -> None:
    """The command on one server, its rewritten form on the other; either may refuse it, then both must."""
    original, copy = pair
    args = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    outcomes = [attempt(original, args)]
    outcomes += [attempt(copy, each) for each in absolute(args, server_ms(original))]
    assert len({isinstance(outcome, redis.ResponseError) for outcome in outcomes}) == 1, outcomes


def attempt(connection: redis.Redis, args: list[bytes]) -> Any:
    try:
        return connection.execute_command(*args)
    except redis.ResponseError as error:
        return error


def assert_equal(pair: Pair, *names: str) -> None:
    for name in names:
        ours, theirs = (connection.execute_command("PEXPIRETIME", name) for connection in pair)
        assert (ours, theirs) == (ours, pytest.approx(ours, abs=TOLERANCE_MS)), name
        assert pair[0].execute_command("DUMP", name) == pair[1].execute_command("DUMP", name), name


@pytest.mark.parametrize(
    "lines",
    [
        ["SET k v", "EXPIRE k 900"],
        ["SET k v", "EXPIRE k 900 NX", "EXPIRE k 800 NX", "PEXPIRE k 850000 GT", "EXPIRE k 700 LT", "EXPIRE none 5"],
        ["SET k v", "EXPIRE k -1"],
        ["SET k v", "PEXPIRE k 0"],
        ["SETEX k 900 v"],
        ["PSETEX k 900000 v"],
        ["SET k v EX 900", "SET k w NX PX 5000", "SET k x XX PX 800000 GET"],
        ["SET k v KEEPTTL", "GETEX k EX 900"],
        ["SET k v", "GETEX k PX 900000", "GETEX k PERSIST", "GETEX none EX 900"],
        ["SET k v", "GETEX k PXAT 1000"],
    ],
    ids=", ".join,
)
def test_the_rewritten_command_has_the_same_effect(pair: Pair, lines: list[str]) -> None:
    for line in lines:
        if line.split()[0] == "SET" and "X" not in line:
            for connection in pair:
                connection.execute_command(*line.split())
        else:
            replay_one(pair, *line.split())
    assert_equal(pair, "k", "none")


@pytest.mark.parametrize("command", ["SET list v EX 900 GET", "GETEX list EX 900", "GETEX list PERSIST"])
def test_a_wrong_type_is_left_alone(pair: Pair, command: str) -> None:
    for connection in pair:
        connection.execute_command("RPUSH", "list", "a")
    replay_one(pair, *command.split())
    assert_equal(pair, "list")


@pytest.mark.parametrize(
    "command", ["HSETEX h PX 5 FIELDS 1 a new", "HPEXPIRE h 5 FIELDS 1 a", "HGETEX h PX 5 FIELDS 1 a"]
)
def test_a_field_whose_time_is_over_is_deleted(valkeys: Pair, command: str) -> None:
    connection = valkeys[0]
    connection.execute_command("HSET", "h", "a", "1", "b", "2")
    for each in absolute([word.encode() for word in command.split()], server_ms(connection) - 60_000):
        connection.execute_command(*each)
    assert connection.execute_command("HGETALL", "h") == [b"b", b"2"]


def test_restore(pair: Pair) -> None:
    pair[0].execute_command("SET", "source", "v")
    payload = pair[0].execute_command("DUMP", "source")
    replay_one(pair, "RESTORE", "k", 900_000, payload)
    replay_one(pair, "RESTORE", "k", 800_000, payload)
    replay_one(pair, "RESTORE", "k", 700_000, payload, "REPLACE")
    replay_one(pair, "RESTORE", "forever", 0, payload)
    assert_equal(pair, "k", "forever")


@pytest.mark.parametrize("command", ["SET k new PX 5", "SETEX k 1 new", "PEXPIRE k 5", "GETEX k PX 5"])
def test_a_time_that_is_over_deletes(pair: Pair, command: str) -> None:
    connection = pair[0]
    connection.execute_command("SET", "k", "v")
    for each in absolute([word.encode() for word in command.split()], server_ms(connection) - 60_000):
        connection.execute_command(*each)
    assert connection.execute_command("EXISTS", "k") == 0


def test_hash_fields(valkeys: Pair) -> None:
    for line in (
        "HSETEX h EX 900 FIELDS 2 a 1 b 2",
        "HEXPIRE h 800 GT FIELDS 1 a",
        "HPEXPIRE h 700000 LT FIELDS 1 b",
        "HSETEX h PX 600000 FIELDS 2 c 3 d 4",
        "HGETEX h EX 500 FIELDS 1 c",
        "HGETEX h PERSIST FIELDS 1 d",
        "HSETEX h EX 100 FIELDS 1 e 5",
        "HPEXPIRE h 0 FIELDS 1 e",
    ):
        replay_one(valkeys, *line.split())
    ours, theirs = (c.execute_command("HPEXPIRETIME", "h", "FIELDS", 5, *"abcde") for c in valkeys)
    assert theirs == [pytest.approx(time_ms, abs=TOLERANCE_MS) for time_ms in ours]
    assert ours[3:] == [-1, -2]
    replay_one(valkeys, "MSETEX", 2, "x", "1", "y", "2", "EX", 900)
    assert_equal(valkeys, "x", "y")


# --- blocking -------------------------------------------------------------------------------------------------------


def twin(*args: Any) -> Blocking:
    found = blocking_twin(args)
    assert found is not None
    return found


def test_attempts_in_the_order_of_the_keys() -> None:
    found = twin("blpop", b"a", "b", 1.5)
    assert found == Blocking(1.5, (("LPOP", b"a"), ("LPOP", "b")), None, keyed=True)
    assert twin("BRPOP", "a", 0).timeout_s == 0
    assert twin("BLMPOP", "0.5", 2, "a", "b", "LEFT").attempts == (("LMPOP", 2, "a", "b", "LEFT"),)
    assert twin(b"BRPOPLPUSH", "a", "b", b"2").attempts == (("RPOPLPUSH", "a", "b"),)


def test_only_a_single_list_can_be_waited_for() -> None:
    until_pushed = ("BLMOVE", "a", "a", "LEFT", "LEFT", 3)
    for command in (
        ("BLPOP", "a", 3), ("BRPOP", "a", 3), ("BLMOVE", "a", "b", "LEFT", "RIGHT", 3), ("BRPOPLPUSH", "a", "b", 3),
        ("BLMPOP", 3, 1, "a", "LEFT"),
    ):  # fmt: skip
        assert twin(*command).wait == until_pushed
    for command in (
        ("BLPOP", "a", "b", 3), ("BZPOPMIN", "a", 3), ("BLMPOP", 3, 2, "a", "b", "LEFT"), ("BZMPOP", 3, 1, "a", "MIN"),
    ):  # fmt: skip
        assert twin(*command).wait is None


def test_block_is_taken_out_of_xreadgroup() -> None:
    before, after = ("XREADGROUP", "GROUP", "g", "BLOCK", "COUNT", 2), ("NOACK", "STREAMS", "BLOCK", "s", ">", ">")
    found = twin(*before, "BLOCK", 1500, *after)
    assert found.timeout_s == 1.5
    assert found.attempts == ((*before, *after),)


def test_what_does_not_block_has_no_twin() -> None:
    assert blocking_twin(["LPOP", "a"]) is None
    assert blocking_twin(["XREADGROUP", "GROUP", "g", "c", "STREAMS", "BLOCK", ">"]) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("BLMOVE a b LEFT RIGHT 5", "LMOVE a b LEFT RIGHT"),
        ("BZMPOP 1 2 a b MIN", "ZMPOP 2 a b MIN"),
        ("XREADGROUP GROUP g c BLOCK 5 STREAMS s >", "XREADGROUP GROUP g c STREAMS s >"),
        ("BLPOP a 5", None),  # it names the key in its reply
        ("BLMOVE a b", None),
        ("XREADGROUP GROUP g c STREAMS s >", None),
    ],
)
def test_what_does_the_same_where_nothing_waits(line: str, expected: str | None) -> None:
    found = without_waiting(line.split())
    assert found == (expected and tuple(expected.split()))


@pytest.mark.parametrize(
    "line",
    ["BLPOP", "BLPOP a", "BLPOP a x", "BLPOP a -1", "BLPOP a nan", "BLPOP a inf", "BLMOVE a b LEFT 1", "BLMPOP 1",
     "BRPOPLPUSH a 1", "XREADGROUP GROUP g c BLOCK", "XREADGROUP", "BZMPOP x 1 a MIN", "BLMPOP 1 1 a", "BLMPOP 1 2 a b",
     "BLMPOP 1 2 a LEFT", "BLMPOP 1 0 a LEFT", "BLMPOP 1 1 a MIN", "BZMPOP 1 1 a LEFT", "BZMPOP 1 1 a MIN COUNT",
     "BZMPOP 1 1 a MIN COUNT 0", "BZMPOP 1 1 a MIN COUNT x", "BLMPOP 1 1 a LEFT LIMIT 1", "BLMPOP 1 1 a LEFT COUNT 1 1",
     "BLMOVE a b UP LEFT 1", "BZMPOP -1 1 a MIN", "XREADGROUP GROUP g c BLOCK -1 STREAMS a >"],
)  # fmt: skip
def test_a_malformed_command_is_refused_in_the_servers_words(line: str, valkey: Any) -> None:
    with pytest.raises(CommandRefused) as ours:
        blocking_twin(line.split())
    with pytest.raises(redis.ResponseError) as theirs:
        client(valkey.url).execute_command(*line.split())
    assert str(ours.value) == str(theirs.value)


BLOCKING = [
    ("BLPOP", "none", "l", 1), ("BRPOP", "l", 1), ("BLMOVE", "l", "m", "LEFT", "RIGHT", 1), ("BRPOPLPUSH", "l", "m", 1),
    ("BLMPOP", 1, 2, "none", "l", "LEFT", "COUNT", 2), ("BZPOPMIN", "none", "z", 1), ("BZPOPMAX", b"z", 1),
    ("BZMPOP", 1, 2, "none", "z", "MAX", "COUNT", 2),
    ("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "BLOCK", 9, "STREAMS", "s", ">"),
    ("XREADGROUP", "GROUP", "g", "c", "BLOCK", 9, "STREAMS", "s", "0"),
]  # fmt: skip


@pytest.fixture(params=[(2, False), (3, False), (2, True), (3, True)], ids=["resp2", "resp3", "resp2-str", "resp3-str"])
def connect(request: pytest.FixtureRequest, server_pool: Pool) -> Iterator[Callable[[str], redis.Redis]]:
    protocol, decode = request.param

    def filled(kind: str) -> redis.Redis:
        connection = client(server_pool.get(kind, "local").url, protocol=protocol, decode_responses=decode)
        connection.response_callbacks.clear()
        return connection

    yield filled


def fill(connection: redis.Redis) -> None:
    connection.execute_command("FLUSHALL")
    connection.execute_command("RPUSH", "l", "a", "b", "")
    connection.execute_command("ZADD", "z", 1, "a", 2.5, "b", "inf", "c")
    connection.execute_command("XADD", "s", "1-1", "f", "v")
    connection.execute_command("XGROUP", "CREATE", "s", "g", "0")


@pytest.mark.parametrize("kind", ["valkey", "redis"])
@pytest.mark.parametrize("command", BLOCKING, ids=lambda command: f"{command[0]} {command[1]}")
def test_the_shape_is_that_of_the_blocking_reply(
    connect: Callable[[str], redis.Redis], kind: str, command: tuple[Any, ...]
) -> None:
    connection = connect(kind)
    fill(connection)
    expected = connection.execute_command(*command)
    fill(connection)
    found = twin(*command)
    replies = ((index, connection.execute_command(*each)) for index, each in enumerate(found.attempts))
    assert next(found.shape(index, reply) for index, reply in replies if not found.empty(reply)) == expected


@pytest.mark.parametrize("kind", ["valkey", "redis"])
@pytest.mark.parametrize("command", BLOCKING[:-1], ids=lambda command: f"{command[0]} {command[1]}")
def test_an_attempt_that_finds_nothing_is_empty(
    connect: Callable[[str], redis.Redis], kind: str, command: tuple[Any, ...]
) -> None:
    connection = connect(kind)
    fill(connection)
    connection.execute_command("DEL", "l", "z")
    connection.execute_command("XGROUP", "SETID", "s", "g", "$")
    found = twin(*command)
    assert all(found.empty(connection.execute_command(*each)) for each in found.attempts)


def test_an_empty_value_is_not_nothing() -> None:
    assert not twin("BLPOP", "l", 1).empty(b"")
    assert twin("BLPOP", "l", 1).shape(0, b"") == [b"l", b""]


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_waiting_wakes_on_a_push_and_changes_nothing(server_pool: Pool, kind: str) -> None:
    server = server_pool.get(kind, "local")
    waiting, pushing = raw(server.url), raw(server.url)
    wait = twin("BLPOP", "l", 5).wait
    replies: list[Any] = []

    def block() -> None:
        replies.append(raw(server.url).execute_command(*wait))

    threads = [threading.Thread(target=block, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: b"blocked_clients:3" in waiting.execute_command("INFO", "clients"), "three clients wait")
    pushing.execute_command("RPUSH", "l", "only")
    for thread in threads:
        thread.join()
    assert replies == [b"only"] * 3
    pushing.execute_command("RPUSH", "l", "more")
    pushing.execute_command("PEXPIREAT", "l", 4_000_000_000_000)
    waiting.execute_command(*wait)
    assert pushing.execute_command("LRANGE", "l", 0, -1) == [b"only", b"more"]
    pushing.execute_command("LPOP", "l")
    waiting.execute_command(*wait)
    assert pushing.execute_command("PEXPIRETIME", "l") == 4_000_000_000_000
