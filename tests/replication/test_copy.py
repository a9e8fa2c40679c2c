from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replication.samples import DELIVERED, ENTRIES, SAMPLES, connected, known, run
from servers import Pool, client

from hybrid.core.state import (
    ABSENT,
    Group,
    Hash,
    KeyState,
    List,
    Pending,
    Set,
    Stream,
    String,
    ZSet,
    differences,
    plan_put,
)
from hybrid.errors import HybridError
from hybrid.replication.copy import (
    BIG_BYTES,
    put_states,
    read_batch,
    read_in_parts,
    read_state,
    read_states,
    run_groups,
)
from hybrid.stores.capabilities import capabilities_of
from hybrid.stores.exchange import RedisConnection
from hybrid.stores.processes import ServerProcess

FAR_MS = 4_102_444_800_123
Two = tuple[ServerProcess, ServerProcess]


@pytest.fixture(params=["valkey-redis", "redis-valkey", "valkey-valkey"])
def pair(request: pytest.FixtureRequest) -> Two:
    """Source and target; the last one copies a store onto itself."""
    names = {"valkey": "valkey", "redis": "debian_redis"}
    source, target = (request.getfixturevalue(names[part]) for part in request.param.split("-"))
    return source, target


@pytest.fixture(params=["valkey", "debian_redis"])
def store(request: pytest.FixtureRequest) -> ServerProcess:
    found: ServerProcess = request.getfixturevalue(request.param)
    return found


def read_hash(connection: RedisConnection) -> Hash:
    state, _ = read_state(connection, b"h")
    assert isinstance(state, KeyState) and isinstance(state.body, Hash)
    return state.body


class TestCopyOfEveryType:
    @pytest.mark.parametrize("protocol", [2, 3])
    @pytest.mark.parametrize("name", SAMPLES)
    def test_the_target_becomes_equal_whatever_it_held(self, pair: Two, name: str, protocol: int) -> None:
        source, target = pair
        run(source, *SAMPLES[name])
        with connected(source, protocol) as here, connected(target, protocol) as there:
            original, _ = read_state(here, b"k")
            run(target, "DEL k", "RPUSH k other", "PEXPIREAT k 4102444800999")
            put_states(there, {b"k": original})
            copied, _ = read_state(there, b"k")
        assert differences(known(original), known(copied), ttl_tolerance_ms=0) == ()

    @pytest.mark.parametrize("name", SAMPLES)
    def test_a_copy_through_the_temporary_key_is_equal_too(self, pair: Two, name: str) -> None:
        source, target = pair
        run(source, *SAMPLES[name])
        with connected(source) as here, connected(target) as there:
            original, _ = read_state(here, b"k")
            plan = plan_put(b"k", original, b"hybrid:tmp:x", most_work=40)
            run(target, "DEL k", "SET k other", "SET hybrid:tmp:x leftover")
            for group in plan:
                run_groups(there, [group])
            copied, _ = read_state(there, b"k")
            assert read_state(there, b"hybrid:tmp:x")[0] == ABSENT or len(plan) == 1
        assert differences(known(original), known(copied), ttl_tolerance_ms=0) == ()

    def test_absence_is_copied(self, pair: Two) -> None:
        source, target = pair
        with connected(source) as here, connected(target) as there:
            original, _ = read_state(here, b"k")
            run(target, "SET k v")
            put_states(there, {b"k": original})
            assert read_state(there, b"k")[0] == ABSENT

    def test_an_empty_string_is_not_absent(self, store: ServerProcess) -> None:
        with client(store.url) as commands, connected(store) as connection:
            commands.set("k", "")
            assert known(read_state(connection, b"k")[0]).body == String(b"")

    def test_a_binary_key_that_looks_like_several_words(self, pair: Two) -> None:
        key = b"a key\r\n\x00\xff"
        with client(pair[0].url) as commands, connected(pair[0]) as here, connected(pair[1]) as there:
            commands.hset(key, b"a b", b"\x00")
            state, _ = read_state(here, key)
            put_states(there, {key: state})
            assert read_state(there, key)[0] == state

    @pytest.mark.parametrize("protocol", [2, 3])
    def test_a_time_that_has_passed_leaves_nothing(self, store: ServerProcess, protocol: int) -> None:
        past = {b"s": KeyState("string", 1000, String(b"v")), b"l": KeyState("list", 1000, List((b"a",)))}
        with connected(store, protocol) as connection:
            put_states(connection, past)
            assert {state for state, _ in read_states(connection, past).values()} == {ABSENT}


class TestFieldExpiry:
    def test_fields_keep_their_moments(self, valkey: ServerProcess) -> None:
        run(valkey, "HSET k a 1 b 2 c 3", f"HPEXPIREAT k {FAR_MS} FIELDS 2 a c")
        for protocol in (2, 3):
            with connected(valkey, protocol) as connection:
                state = known(read_state(connection, b"k")[0])
                assert state.body == Hash({b"a": b"1", b"b": b"2", b"c": b"3"}, {b"a": FAR_MS, b"c": FAR_MS})
                put_states(connection, {b"copy": state})
                assert read_state(connection, b"copy")[0] == state

    def test_a_store_without_them_gets_the_fields_and_the_difference_is_seen(
        self, valkey: ServerProcess, debian_redis: ServerProcess
    ) -> None:
        run(valkey, "HSET k a 1 b 2", f"HPEXPIREAT k {FAR_MS} FIELDS 1 a")
        with connected(valkey) as here, connected(debian_redis) as there:
            state = known(read_state(here, b"k")[0])
            put_states(there, {b"k": state})
            assert differences(state, known(read_state(there, b"k")[0])) == ("field ttl",)

    @pytest.mark.parametrize("count", [3, 30_000])
    def test_fields_that_have_all_expired_leave_nothing(self, valkey: ServerProcess, count: int) -> None:
        """A large one is built under another name, which is gone as well before it could be renamed."""
        fields = {b"f%d" % i: b"v" * 50 for i in range(count)}
        state = KeyState("hash", None, Hash(fields, dict.fromkeys(fields, 1000)))
        run(valkey, "SET k other")
        with connected(valkey) as connection:
            put_states(connection, {b"k": state})
            assert read_state(connection, b"k")[0] == ABSENT

    @pytest.mark.parametrize("kind", ["redis-8.2", "valkey"])
    @pytest.mark.parametrize("others", [{}, {"other": 1}])
    def test_a_field_that_expires_while_it_is_read_has_its_moment_or_is_gone(
        self, server_pool: Pool, kind: str, others: dict[str, int]
    ) -> None:
        """In the millisecond in which it ends, HGETALL of Redis still has it and HPEXPIRETIME has not."""
        server = server_pool.get(kind, "local")
        with client(server.url) as commands, connected(server) as connection:
            for _ in range(100):
                commands.hset("h", mapping={"f": 1, "stays": 1, **others})
                for name in others:
                    commands.hexpire("h", 100, name)
                seconds, micros = commands.time()
                commands.hpexpireat("h", seconds * 1000 + micros // 1000 + 2, "f")
                while b"f" in (fields := read_hash(connection)).fields:
                    assert b"f" in fields.field_expires_at_ms

    def test_many_fields(self, valkey: ServerProcess) -> None:
        fields = {b"%d" % i: b"v" for i in range(5000)}
        moments = {field: FAR_MS + int(field) % 3 for field in fields if int(field) % 7 == 0}
        state = KeyState("hash", None, Hash(fields, moments))
        with connected(valkey) as connection:
            put_states(connection, {b"k": state})
            assert read_state(connection, b"k")[0] == state


BIG: dict[str, KeyState] = {
    "string": KeyState("string", FAR_MS, String(bytes(range(256)) * 80_000)),
    "hash": KeyState("hash", FAR_MS, Hash({b"f%d" % i: b"v%d" % i for i in range(200_000)}, {})),
    "list": KeyState("list", None, List(tuple(b"item %d" % i for i in range(200_000)))),
    "set": KeyState("set", None, Set(frozenset(b"member %d" % i for i in range(200_000)))),
    "zset": KeyState("zset", None, ZSet({b"m%d" % i: b"%d.5" % i for i in range(200_000)})),
    "stream": KeyState(
        "stream",
        None,
        Stream(
            tuple((b"%d-0" % i, (b"field", b"value %d" % i * 10)) for i in range(1, 20_001)),
            b"70000-5",
            20_500,
            b"20001-0",
            {
                b"g": Group(
                    b"1500-0",
                    1500,
                    frozenset({b"ann", b"idle"}),
                    tuple(Pending(b"%d-0" % i, b"ann", 10**12, 3) for i in range(1000, 1401)),
                ),
                b"none": Group(b"0-0", None, frozenset(), ()),
            },
        ),
    ),
    "few large elements": KeyState("list", None, List(tuple(bytes([i]) * 700_000 for i in range(5)))),
}


class TestBigKeys:
    @pytest.mark.parametrize(("store", "protocol"), [("valkey", 2), ("debian_redis", 3)], indirect=["store"])
    @pytest.mark.parametrize("name", BIG)
    def test_read_in_chunks_and_put_in_chunks(self, store: ServerProcess, name: str, protocol: int) -> None:
        sent: list[bytes] = []
        with connected(store, protocol) as connection:
            put_states(connection, {b"k": BIG[name]})
            connection.on_send = sent.append
            state = known(read_state(connection, b"k")[0])
        assert differences(state, BIG[name], ttl_tolerance_ms=0) == ()
        assert any(b"\r\nWATCH\r\n" in packed for packed in sent)
        whole = (b"HGETALL", b"SMEMBERS", b"$3\r\nGET\r\n", b"ZRANGE", b"FULL", b"EVAL", b"$2\r\n-1\r\n")
        assert not any(command in packed for packed in sent for command in whole)
        with client(store.url) as commands:
            assert commands.keys("hybrid:*") == []

    def test_field_expiries_of_a_big_hash(self, valkey: ServerProcess) -> None:
        fields = {b"f%d" % i: b"v" * 50 for i in range(30_000)}
        body = Hash(fields, {field: FAR_MS for field in fields if field.endswith(b"7")})
        with connected(valkey) as connection:
            put_states(connection, {b"k": KeyState("hash", None, body)})
            assert known(read_state(connection, b"k")[0]).body == body

    @pytest.mark.parametrize("protocol", [2, 3])
    def test_a_key_that_moves_once_is_read_again(self, store: ServerProcess, protocol: int) -> None:
        with client(store.url) as commands, connected(store, protocol) as connection:
            put_states(connection, {b"k": BIG["set"]})
            moves = iter([lambda: commands.srem("k", "member 5"), *[lambda: None] * 1000])

            def move(packed: bytes) -> None:
                if b"SSCAN" in packed:
                    next(moves)()  # type: ignore[no-untyped-call]

            connection.on_send = move
            state = known(read_state(connection, b"k")[0])
        body = BIG["set"].body
        assert isinstance(body, Set)
        assert state.body == Set(body.members - {b"member 5"})

    def test_a_key_that_never_stands_still_is_read_whole(self, store: ServerProcess) -> None:
        sent: list[bytes] = []
        with client(store.url) as commands, connected(store) as connection:
            put_states(connection, {b"k": BIG["list"]})

            def move(packed: bytes) -> None:
                sent.append(packed)
                commands.rpush("k", len(sent))

            connection.on_send = move
            state = known(read_state(connection, b"k")[0])
            body = state.body
            assert isinstance(body, List)
            # the whole read contains all pushes up to the moment of its transaction
            assert body.items[200_000:] == tuple(b"%d" % i for i in range(1, len(sent) + 1))

    @pytest.mark.parametrize("protocol", [2, 3])
    def test_a_hash_that_never_stands_still_is_read_from_a_copy(self, valkey: ServerProcess, protocol: int) -> None:
        """A script that reads 1,000,000 fields with their expiries holds the server for seconds."""
        fields = {b"f%d" % i: b"v" * 50 for i in range(5_000)}
        body = Hash(fields, {field: FAR_MS for field in fields if field.endswith(b"7")})
        sent: list[bytes] = []
        with client(valkey.url) as commands, connected(valkey, protocol) as connection:
            put_states(connection, {b"k": KeyState("hash", FAR_MS, body)})

            def move(packed: bytes) -> None:
                sent.append(packed)
                commands.pipeline().hset("k", "moved", len(sent)).xadd("hybrid:log", {"f": "v"}).execute()

            connection.on_send = move
            state, place = read_state(connection, b"k")
            connection.on_send = lambda packed: None
            found = known(state)
            assert found.expires_at_ms == FAR_MS
            assert isinstance(found.body, Hash)
            assert found.body.field_expires_at_ms == body.field_expires_at_ms
            moved = int(found.body.fields[b"moved"])
            assert found.body.fields == fields | {b"moved": b"%d" % moved}
            assert b"COPY" in sent[moved - 1], "all writes up to the moment of the copy, and none later"
            assert place == commands.xrange("hybrid:log")[moved - 1][0]
            assert not any(b"EVAL" in packed for packed in sent)
            assert commands.keys("hybrid:tmp:*") == []

    @pytest.mark.parametrize("change", ["XGROUP CREATE k late 0", "XGROUP DESTROY k none"])
    def test_groups_that_come_or_go_meanwhile_are_noticed(self, store: ServerProcess, change: str) -> None:
        with client(store.url) as commands, connected(store) as connection:
            put_states(connection, {b"k": BIG["stream"]})
            changes = iter([change])

            def move(packed: bytes) -> None:
                if b"XRANGE" in packed and (line := next(changes, None)):
                    run(store, line)

            connection.on_send = move
            body = known(read_state(connection, b"k")[0]).body
            assert isinstance(body, Stream)
            assert set(body.groups) == {group["name"] for group in commands.xinfo_groups("k")}
            assert next(changes, None) is None

    def test_a_delivery_while_chunks_are_read_is_in_the_state(self, store: ServerProcess) -> None:
        """WATCH does not see deliveries: a proof by WATCH alone would give a stale group."""
        with client(store.url) as commands, connected(store) as connection:
            put_states(connection, {b"k": BIG["stream"]})

            def move(packed: bytes) -> None:
                if b"XRANGE" in packed:
                    commands.xreadgroup("g", "ann", {"k": ">"}, count=1)

            connection.on_send = move
            body = known(read_state(connection, b"k")[0]).body
            connection.on_send = lambda packed: None
            assert isinstance(body, Stream)
            [group] = [group for group in commands.xinfo_groups("k") if group["name"] == b"g"]
            assert body.groups[b"g"].last_delivered_id == group["last-delivered-id"]
            assert len(body.groups[b"g"].pending) == group["pending"] > 400

    def test_a_big_key_deleted_before_it_is_read_is_absent(self, store: ServerProcess) -> None:
        with client(store.url) as commands, connected(store) as connection:
            put_states(connection, {b"k": BIG["string"]})
            connection.on_send = lambda packed: commands.delete("k") if b"\r\nWATCH\r\n" in packed else None
            assert read_state(connection, b"k")[0] == ABSENT


class TestPosition:
    def test_without_a_log(self, store: ServerProcess) -> None:
        with connected(store) as connection:
            assert read_state(connection, b"k") == (ABSENT, b"0-0")

    @pytest.mark.parametrize("protocol", [2, 3])
    def test_a_trimmed_log_keeps_its_position(self, store: ServerProcess, protocol: int) -> None:
        run(store, "XADD hybrid:log 5-7 f v", "XTRIM hybrid:log MAXLEN 0", "XADD other 9-9 f v")
        with connected(store, protocol) as connection:
            assert read_state(connection, b"k")[1] == b"5-7"
            assert read_state(connection, b"k", log_key=b"other")[1] == b"9-9"

    @pytest.mark.parametrize("size_bytes", [10, 2 * BIG_BYTES])
    def test_it_is_that_of_the_very_moment_while_writes_go_on(self, store: ServerProcess, size_bytes: int) -> None:
        """A position too old would repeat an entry, one too young would lose it."""
        stop = threading.Event()

        def write() -> None:
            with client(store.url) as commands:
                count = 0
                while not stop.is_set():
                    count += 1
                    value = str(count).zfill(10) * (size_bytes // 10)
                    commands.pipeline().set("k", value).xadd("hybrid:log", {"f": "v"}, id=f"{count}-0").execute()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            with connected(store) as connection:
                positions: set[bytes] = set()
                while len(positions) < 20:
                    state, position = read_state(connection, b"k")
                    positions.add(position)
                    if state == ABSENT:
                        assert position == b"0-0"
                        continue
                    body = known(state).body
                    assert isinstance(body, String)
                    assert body.value == position.removesuffix(b"-0").zfill(10) * (size_bytes // 10)
        finally:
            stop.set()
            writer.join()


class TestBatches:
    @pytest.mark.parametrize("protocol", [2, 3])
    def test_many_keys_of_all_sizes_at_once(self, store: ServerProcess, protocol: int) -> None:
        states: dict[bytes, KeyState] = {b"s%d" % i: KeyState("string", None, String(b"%d" % i)) for i in range(1200)}
        states |= {b"large%d" % i: KeyState("string", None, String(bytes(900_000))) for i in range(8)}
        states[b"big"] = BIG["string"]
        with connected(store, protocol) as connection:
            put_states(connection, states)
            read = read_states(connection, [*states, b"missing", b"s1"])
        assert read.pop(b"missing") == (ABSENT, b"0-0")
        assert {key: state for key, (state, _) in read.items()} == states

    def test_nothing(self, store: ServerProcess) -> None:
        with connected(store) as connection:
            assert read_states(connection, []) == {}
            put_states(connection, {})

    @pytest.mark.parametrize("before", ["DEL k", "SET k v", "RPUSH k v", "XADD k 1-1 f v", "HSET k f v"])
    @pytest.mark.parametrize("after", ["DEL k", "SET k v", "ZADD k 1 v", "XADD k 1-1 f v", "HSET k f v"])
    def test_a_key_that_changes_its_type_meanwhile(self, store: ServerProcess, before: str, after: str) -> None:
        run(store, before)
        with connected(store) as connection:
            changes = iter([after])

            def change(packed: bytes) -> None:
                if b"\r\nMULTI\r\n" in packed and (line := next(changes, None)):
                    run(store, "DEL k", line)

            connection.on_send = change
            state, _ = read_state(connection, b"k")
            connection.on_send = lambda packed: None
            assert state == read_state(connection, b"k")[0]

    def test_a_key_that_changes_its_type_always(self, store: ServerProcess) -> None:
        with connected(store) as connection:
            run(store, "SADD k v")

            def change(packed: bytes) -> None:
                if b"\r\nMULTI\r\n" in packed:
                    run(store, "DEL k", "SET k v")
                elif b"\r\nTYPE\r\n" in packed:
                    run(store, "DEL k", "SADD k v")

            connection.on_send = change
            with pytest.raises(HybridError, match="b'k'"):
                read_state(connection, b"k")

    def test_no_more_is_read_together_than_a_round_trip_may_bring(
        self, store: ServerProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(store, "SET s v", "SET t v", "RPUSH l v")
        monkeypatch.setattr("hybrid.replication.copy.ROUND_TRIP_BYTES", 1)
        with connected(store) as connection:
            assert [list(part) for part in read_in_parts(connection, [b"s", b"t", b"l"])] == [[b"s"], [b"t"], [b"l"]]

    def test_an_older_server_is_read_by_ttl_and_clock(self, store: ServerProcess) -> None:
        run(store, "SET s v PXAT 4102444800123", "SET t v", *ENTRIES, *DELIVERED)
        with connected(store) as connection:
            older = replace(
                capabilities_of(connection), has_pexpiretime=False, has_field_ttl=False, has_memory_usage=False
            )
            now = read_states(connection, [b"s", b"t", b"k", b"none"])
            [then] = read_batch(connection, [b"s", b"t", b"k", b"none"], b"hybrid:log", older)
        assert differences(known(now[b"s"][0]), known(then[b"s"][0]), ttl_tolerance_ms=5) == ()
        assert [then[key] for key in (b"t", b"k", b"none")] == [now[key] for key in (b"t", b"k", b"none")]


class TestRefusals:
    def test_a_refused_chunk_never_reaches_the_key(self, server: Callable[..., ServerProcess]) -> None:
        full = server("redis", maxmemory="4mb", maxmemory_policy="noeviction")
        with client(full.url) as commands, connected(full) as connection:
            commands.set("k", "before")
            with pytest.raises(redis.ResponseError, match="maxmemory"):
                put_states(connection, {b"k": BIG["string"]})
            assert commands.get("k") == b"before"
            assert commands.keys("hybrid:*") == []

    def test_the_connection_stays_usable_after_a_refusal(self, store: ServerProcess) -> None:
        run(store, "SET hybrid:log wrong", "SET k v")
        with connected(store) as connection:
            with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
                read_state(connection, b"k")
            assert known(read_state(connection, b"k", log_key=b"none")[0]).body == String(b"v")


blobs = st.binary(max_size=12)
moments = st.none() | st.integers(FAR_MS, FAR_MS + 10**6)
numbers = st.floats(allow_nan=False).map(lambda number: repr(number).encode())


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    ids = draw(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 2)), unique=True, max_size=12).map(sorted))
    present = [draw(st.booleans()) for _ in ids]
    names = [b"%d-%d" % each for each in ids]
    pairs = st.lists(blobs, min_size=1, max_size=2).map(lambda fields: tuple(fields * 2))
    entries = tuple((name, draw(pairs)) for name, there in zip(names, present, strict=True) if there)
    deleted = [name for name, there in zip(names, present, strict=True) if not there]
    deliveries = st.builds(Pending, st.sampled_from(names or [b""]), blobs, st.integers(0, 10**12), st.integers(0, 9))
    groups = {}
    for group in draw(st.sets(blobs, max_size=2)):
        pending = draw(st.lists(deliveries, unique_by=lambda entry: entry.entry_id, max_size=6)) if names else []
        consumers = draw(st.frozensets(blobs, max_size=2)) | {entry.consumer for entry in pending}
        read = draw(st.none() | st.integers(0, len(names)))
        ordered = tuple(sorted(pending, key=lambda entry: entry.entry_id))
        groups[group] = Group(draw(st.sampled_from([b"0-0", *names])), read, consumers, ordered)
    last = draw(st.sampled_from([names[-1], b"99-1"])) if names else b"0-0"
    return Stream(entries, last, len(names), deleted[-1] if deleted else b"0-0", groups)


states = st.one_of(
    st.builds(KeyState, st.just("string"), moments, st.builds(String, st.binary(max_size=300))),
    st.builds(KeyState, st.just("list"), moments, st.builds(List, st.lists(blobs, min_size=1).map(tuple))),
    st.builds(KeyState, st.just("set"), moments, st.builds(Set, st.frozensets(blobs, min_size=1))),
    st.builds(KeyState, st.just("zset"), moments, st.builds(ZSet, st.dictionaries(blobs, numbers, min_size=1))),
    st.builds(
        KeyState, st.just("hash"), moments, st.builds(Hash, st.dictionaries(blobs, blobs, min_size=1), st.just({}))
    ),
    st.builds(KeyState, st.just("stream"), moments, streams()),
)


@given(state=states, most_work=st.sampled_from([1, 64, 512 * 1024]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_state_survives_a_put_and_a_read(store: ServerProcess, state: KeyState, most_work: int) -> None:
    with connected(store) as connection:
        for group in plan_put(b"k", state, b"hybrid:tmp:x", most_work):
            run_groups(connection, [group])
        assert differences(known(read_state(connection, b"k")[0]), state, ttl_tolerance_ms=0) == ()
