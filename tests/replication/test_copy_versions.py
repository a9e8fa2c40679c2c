"""The copy between servers of different generations: equal where both can hold it, refused where the other cannot."""

from __future__ import annotations

from itertools import chain

import pytest
from redis.connection import Connection
from replication.samples import SAMPLES, connected, known, run
from servers import Pool, client

from hybrid.core.state import ABSENT, Hash, Json, KeyState, String, differences, plan_put
from hybrid.replication.copy import put_states, read_state, run_groups
from hybrid.stores.capabilities import capabilities_of
from hybrid.stores.processes import ServerProcess

FAR_MS = 4_102_444_800_123
CLOCK_MS = 20
"""A server without PEXPIRETIME tells an expiry by the time that is left, and its clock."""
NEEDS_REDIS_7 = "ENTRIESADDED"
ODD_KEYS = (b"", b"a key\r\n\x00\xff", b"{tag}k", b"k" * 5000)
EACH_WAY = [
    *chain.from_iterable(((kind, "valkey"), ("valkey", kind)) for kind in ("redis-6.2", "redis-7.4", "redis-8.2")),
    ("redis-6.2", "redis-8.2"),
    ("redis-8.2", "redis-6.2"),
]
Two = tuple[ServerProcess, ServerProcess]


@pytest.fixture(params=EACH_WAY, ids="-to-".join)
def pair(request: pytest.FixtureRequest, server_pool: Pool) -> Two:
    """Source and target."""
    source, target = request.param
    return server_pool.get(source, "local"), server_pool.get(target, "cloud")


def copied(here: Connection, there: Connection, key: bytes = b"k") -> tuple[KeyState, KeyState]:
    """The key on the source, and on the target after a copy."""
    original, _ = read_state(here, key)
    put_states(there, {key: original})
    return known(original), known(read_state(there, key)[0])


@pytest.mark.parametrize("protocol", [2, 3])
def test_every_type(pair: Two, protocol: int) -> None:
    source, target = pair
    wrong: dict[str, tuple[str, ...]] = {}
    with connected(source, protocol) as here, connected(target, protocol) as there:
        exact = capabilities_of(here).has_pexpiretime and capabilities_of(there).has_pexpiretime
        for name, lines in SAMPLES.items():
            if NEEDS_REDIS_7 in " ".join(lines) and not capabilities_of(here).has_stream_counters:
                continue
            run(source, "DEL k", *lines)
            run(target, "DEL k", "RPUSH k other", "PEXPIREAT k 4102444800999")
            found = differences(*copied(here, there), ttl_tolerance_ms=0 if exact else CLOCK_MS)
            if found:
                wrong[name] = found
    assert wrong == {}


def test_in_chunks_through_the_temporary_key(pair: Two) -> None:
    source, target = pair
    wrong: dict[str, tuple[str, ...]] = {}
    with connected(source) as here, connected(target) as there:
        can = capabilities_of(there)
        for name, lines in SAMPLES.items():
            if NEEDS_REDIS_7 in " ".join(lines) and not capabilities_of(here).has_stream_counters:
                continue
            run(source, "DEL k", *lines)
            original, _ = read_state(here, b"k")
            for group in plan_put(b"k", original, b"hybrid:tmp:x", 40, stream_counters=can.has_stream_counters):
                run_groups(there, [group])
            found = differences(known(original), known(read_state(there, b"k")[0]), ttl_tolerance_ms=CLOCK_MS)
            if found:
                wrong[name] = found
    assert wrong == {}


def test_odd_keys_and_empty_values(pair: Two) -> None:
    source, target = pair
    with client(source.url) as commands, connected(source) as here, connected(target) as there:
        for key in ODD_KEYS:
            commands.set(key, b"")
            assert copied(here, there, key)[1].body == String(b"")
            commands.delete(key)
            commands.hset(key, mapping={b"": b"", b"\x00": b"\xff"})
            assert copied(here, there, key)[1].body == Hash({b"": b"", b"\x00": b"\xff"}, {})
        put_states(there, {b"": ABSENT})
        assert read_state(there, b"")[0] == ABSENT


def test_what_the_diff_sees_is_equal_too(pair: Two) -> None:
    """A value written by commands on both is the same value, whatever its encoding is on each."""
    for server in pair:
        run(server, "ZADD k 0.1 a 1e300 b 3 c", "HSET h f v", "SADD s 1 2 x", "SETRANGE t 3 x", "PFADD p a b")
    with connected(pair[0]) as here, connected(pair[1]) as there:
        for key in (b"k", b"h", b"s", b"t", b"p"):
            assert differences(known(read_state(here, key)[0]), known(read_state(there, key)[0])) == ()


@pytest.mark.parametrize("kinds", [("redis-7.4", "valkey"), ("valkey", "redis-7.4"), ("redis-8.2", "redis-7.4")])
def test_fields_keep_their_moments(server_pool: Pool, kinds: tuple[str, str]) -> None:
    source, target = server_pool.get(kinds[0], "local"), server_pool.get(kinds[1], "cloud")
    run(source, "HSET k a 1 b 2 c 3", f"HPEXPIREAT k {FAR_MS} FIELDS 2 a c")
    for protocol in (2, 3):
        with connected(source, protocol) as here, connected(target, protocol) as there:
            original, copy = copied(here, there)
            assert original.body == Hash({b"a": b"1", b"b": b"2", b"c": b"3"}, {b"a": FAR_MS, b"c": FAR_MS})
            assert copy == original


DOCUMENTS = {
    "nested": '{"a":[1,2.5,-0.0,1e300,null,true,{"b":"x"}],"\\u00e9":"\\ud83d\\ude00","empty":{},"list":[]}',
    "a number": "7",
    "a text": '"\\u0000\\n\\"quoted\\""',
    "large": '{"list":[' + ",".join(f'{{"id":{i},"name":"n{i}"}}' for i in range(30_000)) + "]}",
}


@pytest.mark.parametrize("protocol", [2, 3])
def test_documents(server_pool: Pool, protocol: int) -> None:
    source, target = server_pool.get("redis-7.4", "local"), server_pool.get("redis-7.4", "cloud")
    with client(source.url) as commands, connected(source, protocol) as here, connected(target, protocol) as there:
        for name, text in DOCUMENTS.items():
            commands.execute_command("JSON.SET", "k", "$", text)
            commands.pexpireat("k", FAR_MS)
            original, copy = copied(here, there)
            assert isinstance(original.body, Json) and original.kind == "json" and original.expires_at_ms == FAR_MS
            assert copy == original, name
