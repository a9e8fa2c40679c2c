"""What a server says about itself, what is in it, and what it does: on Valkey and on Redis."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
import redis
from servers import Pool, client, wait_until

from hybrid import HybridRedis
from hybrid.core.spending import Price
from hybrid.ops.insights import (
    NotOffered,
    client_rows,
    connected,
    masked_address,
    server_insights,
)
from hybrid.ops.keyspace import TTL_BOUNDS_S, Keyspace, ScanLimits, scan_cost, scan_keyspace
from hybrid.ops.listen import HotKeys, ListenLimits, Message, MonitorLine, monitor, monitor_line, subscribe
from hybrid.ops.server_info import info_fields, server_facts
from hybrid.types import Store

NEVER = threading.Event()


@pytest.fixture(scope="module", params=["valkey", "redis"])
def hybrid(request: pytest.FixtureRequest, server_pool: Pool) -> Iterator[HybridRedis]:
    """A client on one server of each kind; the tests below share it and its keys."""
    server = server_pool.get(request.param, "local")
    with HybridRedis.from_urls(server.url, decode_responses=True) as opened:
        yield opened


@pytest.fixture
def server_client(hybrid: HybridRedis) -> Iterator[redis.Redis]:
    with client(hybrid.settings.local_url) as plain:
        plain.flushdb()
        yield plain


@pytest.fixture
def connection(hybrid: HybridRedis, server_client: redis.Redis) -> Iterator[Any]:
    with connected(hybrid, Store.LOCAL) as opened:
        yield opened


def test_how_a_server_fares(server_client: redis.Redis, connection: Any) -> None:
    server_client.config_resetstat()
    server_client.set("there", 1)
    server_client.mget("there", "there", "there", "not there")
    found = server_insights(connection, Store.LOCAL)
    assert not isinstance(found.info, NotOffered)
    facts = server_facts(found.info)
    assert facts.hit_rate == 0.75
    assert (facts.evicted_keys, facts.memory_limit_bytes, facts.eviction_policy) == (0, 0, "noeviction")
    assert (facts.save_failed, facts.appends, facts.role, facts.replicas) == (False, False, "master", 0)
    known = (facts.commands_per_s, facts.memory_bytes, facts.memory_peak_bytes, facts.fragmentation, facts.clients)
    assert None not in known
    assert {field.section for field in found.info} >= {"Server", "Clients", "Memory", "Persistence", "Stats"}
    assert set(asdict(server_facts(info_fields(b"x:1\r\n"))).values()) == {None}


def test_slow_log_commands_clients_and_channels(server_client: redis.Redis, connection: Any) -> None:
    server_client.config_set("slowlog-log-slower-than", 0)
    server_client.client_setname("till")
    server_client.set("shop:cart", b"\xff" * 500)
    server_client.config_set("slowlog-log-slower-than", 10_000)
    with server_client.pubsub() as listener:
        listener.subscribe("hybrid:config@9", "news")
        assert all(listener.get_message(timeout=5) is not None for _ in range(2))
        found = server_insights(connection, Store.LOCAL)
    server_client.slowlog_reset()
    assert not isinstance(found.slow_log, NotOffered) and not isinstance(found.commands, NotOffered)
    assert not isinstance(found.clients, NotOffered) and not isinstance(found.channels, NotOffered)
    slow = next(call for call in found.slow_log if call.command.startswith("SET shop:cart"))
    assert slow.client == "till" and slow.duration_ms > 0 and "\\xff" in slow.command
    assert len(slow.command) <= 201
    assert found.slower_than_ms == 10.0
    used = {row.name: row for row in found.commands}
    assert used["SET"].calls >= 1 and used["SET"].mean_us > 0 and used["CONFIG SET"].calls >= 2
    assert any(row.name == "till" and row.address for row in found.clients)
    assert any(row.kind == "pub/sub" and row.subscriptions == 2 for row in found.clients)
    assert [(row.name, row.subscribers) for row in found.channels] == [("news", 1)]


def test_quantiles_are_unknown_where_a_server_keeps_none(connection: Any, server_client: redis.Redis) -> None:
    server_client.config_set("latency-tracking", "no")
    server_client.config_resetstat()
    server_client.get("x")
    found = server_insights(connection, Store.LOCAL)
    server_client.config_set("latency-tracking", "yes")
    assert not isinstance(found.commands, NotOffered)
    assert next(row for row in found.commands if row.name == "GET").p99_us is None


def test_what_a_user_may_not_run_is_said_and_not_empty(hybrid: HybridRedis, server_client: redis.Redis) -> None:
    server_client.acl_setuser(
        "looker", enabled=True, nopass=True, commands=["+@all", "-client|list", "-config"], keys="*"
    )
    url = str(hybrid.settings.local_url).replace("redis://", "redis://looker:x@")
    with HybridRedis.from_urls(url) as restricted, connected(restricted, Store.LOCAL) as opened:
        found = server_insights(opened, Store.LOCAL)
    server_client.acl_deluser("looker")
    assert isinstance(found.clients, NotOffered) and "may not run CLIENT LIST" in found.clients.why
    assert found.slower_than_ms is None
    assert not isinstance(found.commands, NotOffered)


def test_a_service_with_few_sections_of_info() -> None:
    class Service:
        """Answers as a hosted service does: no SLOWLOG, and INFO without statistics of commands."""

        pack_commands = staticmethod(list)

        def send_packed_command(self, commands: list[tuple[bytes, ...]]) -> None:
            self.asked = list(commands)

        def read_response(self) -> Any:
            command = self.asked.pop(0)
            if command[0] in (b"SLOWLOG", b"CONFIG"):
                raise redis.ResponseError("ERR Command is not available")
            return [] if command[0] == b"PUBSUB" else b""

    found = server_insights(Service(), Store.CLOUD)
    assert isinstance(found.slow_log, NotOffered) and found.slow_log.why == "This store does not offer SLOWLOG."
    assert isinstance(found.commands, NotOffered)
    assert found.channels == ()


def fill(server_client: redis.Redis) -> None:
    pipe = server_client.pipeline(transaction=False)
    for number in range(300):
        pipe.set(f"session:{number}", "x" * 20, ex=600)
    for number in range(100):
        pipe.set(f"cart:{number}:lines", "y" * 200)
    pipe.rpush("queue", *range(2000))
    pipe.set("hybrid:own", "z" * 100_000)
    pipe.set(b"\xff:odd", "1", px=40 * 86_400_000)
    pipe.execute()


def scan(connection: Any, **limits: Any) -> Keyspace:
    return scan_keyspace(connection, Store.LOCAL, ScanLimits(**limits), NEVER)


def test_keyspace_measured_whole(connection: Any, server_client: redis.Redis) -> None:
    fill(server_client)
    heard: list[tuple[int, int, int]] = []
    found = scan_keyspace(connection, Store.LOCAL, ScanLimits(), NEVER, lambda *numbers: heard.append(numbers))
    assert (found.scanned, found.measured, found.ending) == (402, 402, "finished")
    assert not isinstance(found.biggest, NotOffered)
    top = found.biggest[0]
    assert (top.key, top.type, top.length, top.ttl_s) == ("queue", "list", 2000, None)
    assert top.size_bytes == server_client.memory_usage("queue")
    spaces = {space.name: space for space in found.namespaces}
    assert {name: space.keys for name, space in spaces.items()} == {
        "session": 300, "cart": 100, "(no prefix)": 1, "\\xff": 1,
    }  # fmt: skip
    assert spaces["cart"].memory_bytes == sum(
        int(server_client.memory_usage(f"cart:{number}:lines") or 0) for number in range(100)
    )
    classes = [*TTL_BOUNDS_S, "longer", "never"]
    assert dict(zip(classes, found.ttls, strict=True)) == {
        **dict.fromkeys(classes, 0),
        3600: 300,
        "longer": 1,
        "never": 101,
    }
    assert found.keys == 402  # hybrid's own one is not counted
    assert heard[-1][:2] == (402, 402) and heard[-1][2] <= found.commands


def test_types_are_called_as_in_the_list_of_keys(server_pool: Pool) -> None:
    stack, other = server_pool.get("redis-7.4", "local"), server_pool.get("valkey", "cloud")
    with client(stack.url) as filled:
        filled.execute_command("JSON.SET", "document", "$", "{}")
    with HybridRedis.from_urls(stack.url, other.url) as hybrid, connected(hybrid, Store.LOCAL) as connection:
        found = scan_keyspace(connection, Store.LOCAL, ScanLimits(), NEVER)
    assert not isinstance(found.biggest, NotOffered)
    assert [key.type for key in found.biggest] == ["json"]


def test_a_budget_measures_a_sample_and_counts_all(connection: Any, server_client: redis.Redis) -> None:
    fill(server_client)
    limits = ScanLimits(measured=50, top=5, depth=2)
    before = connection.tally.commands
    found = scan_keyspace(connection, Store.LOCAL, limits, NEVER)
    spent = connection.tally.commands - before
    assert found.scanned == 402 and 40 <= found.measured <= 51
    assert sum(space.keys for space in found.namespaces) == 402
    assert found.commands == spent <= scan_cost(403, limits, None).commands
    assert not isinstance(found.biggest, NotOffered) and len(found.biggest) == 5
    assert any(space.name.startswith("cart:") for space in found.namespaces) and not found.whole


def test_all_keys_are_measured_so_that_the_biggest_is_found(connection: Any, server_client: redis.Redis) -> None:
    fill(server_client)
    for number in range(3):
        server_client.set(f"giant:{number}", b"x" * 100_000 * (number + 1))
    found = scan_keyspace(connection, Store.LOCAL, ScanLimits(measured=None), NEVER)
    assert not isinstance(found.biggest, NotOffered) and found.whole and found.measured == 405
    assert [use.key for use in found.biggest[:3]] == ["giant:2", "giant:1", "giant:0"]
    assert found.commands <= scan_cost(406, ScanLimits(measured=None), None).commands


def test_a_scan_is_cancelled_between_pages(connection: Any, server_client: redis.Redis) -> None:
    pipe = server_client.pipeline(transaction=False)
    for number in range(3000):
        pipe.set(f"k:{number}", 1)
    pipe.execute()
    stop = threading.Event()
    found = scan_keyspace(connection, Store.LOCAL, ScanLimits(measured=10), stop, lambda *_: stop.set())
    assert found.ending == "cancelled" and 0 < found.scanned < 3000
    assert scan(connection, measured=10, seconds=0.0).ending == "out of time"


def test_hot_keys_by_counted_accesses(connection: Any, server_client: redis.Redis) -> None:
    server_client.set("cold", 1)
    refused = scan(connection)
    assert isinstance(refused.hottest, NotOffered) and "LFU" in refused.hottest.why
    server_client.config_set("maxmemory-policy", "allkeys-lfu")
    server_client.set("hot", 1)
    for _ in range(300):
        server_client.get("hot")
    found = scan(connection)
    server_client.config_set("maxmemory-policy", "noeviction")
    assert not isinstance(found.hottest, NotOffered)
    assert found.hottest[0].key == "hot" and (found.hottest[0].frequency or 0) > 5


def test_cost_is_known_before_the_cloud_is_scanned() -> None:
    cost = scan_cost(1_000_000, ScanLimits(measured=1000, top=0), Price(per_100k_commands=0.20))
    assert cost.commands == 3 + 1000 + 3000
    assert cost.usd == pytest.approx(0.008, abs=0.0001)
    assert scan_cost(1_000_000, ScanLimits(), None).usd == 0


def test_monitor_ends_by_itself_and_counts_hot_keys(connection: Any, server_client: redis.Redis) -> None:
    counted, lines = HotKeys(), []

    def take(line: MonitorLine) -> None:
        counted.add(line)
        lines.append(line)

    def work() -> None:
        wait_until(lambda: any(row["flags"] == "O" for row in server_client.client_list()), "the monitor")
        for _ in range(5):
            server_client.incr("page:views")
        server_client.get('odd "key"\n')
        server_client.eval("return redis.call('GET', KEYS[1])", 1, "page:views")
        server_client.set("hybrid:own", 1)

    other = threading.Thread(target=work)
    other.start()
    wanted = ListenLimits(seconds=30, lines=10_000)
    stop = threading.Event()
    count, ending = monitor(connection, wanted, stop, lambda line: (take(line), stop.set() if line.is_own else None)[0])
    other.join()
    assert ending == "cancelled" and count == len(lines)
    top = counted.top()[0]
    assert (top.key, top.calls, top.writes) == ("page:views", 6, 5)
    assert b'odd "key"\n' in counted.calls and b"hybrid:own" not in counted.calls
    assert all(row["flags"] != "O" for row in server_client.client_list())


def test_pubsub_ends_at_its_limit(connection: Any, server_client: redis.Redis) -> None:
    heard: list[Message] = []

    def work() -> None:
        wait_until(lambda: server_client.pubsub_numpat() == 1, "the subscription")
        for number in range(5):
            server_client.publish("hybrid:applied@0", "0-0")
            server_client.publish("news:today", f"message {number}")

    other = threading.Thread(target=work)
    other.start()
    count, ending = subscribe(connection, "*", ListenLimits(seconds=30, lines=3), NEVER, heard.append)
    other.join()
    assert (count, ending) == (3, "lines")
    assert [(each.channel, each.text) for each in heard][-1] == ("news:today", "message 2")


def test_lines_of_monitor_and_of_client_list() -> None:
    line = monitor_line(rb'1700000000.5 [2 10.0.0.1:99] "set" "a\"b\\\x00" "v\n"')
    assert line == MonitorLine(1700000000.5, 2, "10.0.0.1:99", (b"set", b'a"b\\\x00', b"v\n"))
    assert monitor_line(b"OK") is None
    own = monitor_line(b'1700000000.5 [0 127.0.0.1:1] "publish" "hybrid:moved@0" "x"')
    assert own is not None and own.is_own and not line.is_own
    (row,) = client_rows(b"id=3 addr=10.1.2.3:50 name= age=5 idle=1 flags=b cmd=blpop\n")
    assert (row.id, row.kind, row.command, row.memory_bytes, row.library) == (3, "blocked", "BLPOP", None, "")
    assert [masked_address(each) for each in ("10.1.2.3:50", "127.0.0.1:9", "[2001:db8::1]:6")] == [
        "10.1.*.*", "127.0.0.1:9", "***",
    ]  # fmt: skip
