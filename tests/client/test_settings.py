"""What each setting does, and what is said about one that makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from client.rig import PATIENT, assert_equal
from redis.cache import CacheConfig
from servers import Stores, client, wait_until

from hybrid import Ack, ConfigurationError, HybridRedis, ReadPreference, Settings, StoreState, aio
from hybrid.replication import watcher
from hybrid.stores.link import Link

Open = Callable[..., HybridRedis]


def test_ack_both_returns_when_the_cloud_has_it(
    linked_stores: tuple[Stores, Link], open_client: Open, protocol: int
) -> None:
    stores, link = linked_stores
    hybrid = open_client(stores.local.url, link.url, ack="both", protocol=protocol)
    with client(stores.cloud.url) as cloud:
        for n in range(20):
            hybrid.set("k", n)
            assert cloud.get("k") == str(n).encode()
            hybrid.pipeline().rpush("l", n).sadd("s", n, f"{n} more").execute()
            assert (cloud.llen("l"), cloud.scard("s")) == (n + 1, n + 2)
            drawn = hybrid.spop("s")
            assert not cloud.sismember("s", drawn)
    assert hybrid.status().unconfirmed_writes == 0


def test_while_a_write_waits_for_the_cloud_the_local_store_is_asked_whether_it_is_there(
    linked_stores: tuple[Stores, Link], open_client: Open
) -> None:
    """Nobody has a question open to it otherwise, and if it hangs, that would be found out much later."""
    stores, link = linked_stores
    hybrid = open_client(stores.local.url, link.url, ack="both", cloud_timeout_s=30.0)
    hybrid.set("k", 1)
    link.apply(round_trip_s=1.0)
    with client(stores.local.url) as local:

        def asked() -> int:
            return int(local.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"])

        before = asked()
        hybrid.set("k", 2)
        assert asked() - before >= 10


def test_a_free_cloud_store_that_hangs_is_noticed_though_nobody_uses_it(
    stores: Stores, open_client: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "FREE_S", 0.05)
    hybrid = open_client(stores.local.url, stores.cloud.url, cloud_price=0.0, cloud_timeout_s=0.3)
    hybrid.set("k", 1)
    assert hybrid.wait_in_sync(10)
    stores.cloud.pause()
    try:
        wait_until(lambda: hybrid.status().cloud.state is StoreState.DOWN, "its loss is noticed")
    finally:
        stores.cloud.resume()
    assert_equal(hybrid, stores)


def test_ack_local_does_not_wait_for_the_cloud(stores: Stores, open_client: Open) -> None:
    hybrid = open_client(stores.local.url, stores.cloud.url, ack="local", cloud_timeout_s=30.0)
    hybrid.set("first", 1)
    assert hybrid.wait_in_sync(10)
    stores.cloud.pause()
    try:
        for n in range(100):
            assert hybrid.rpush("l", n) == n + 1
        assert hybrid.status().lag_entries == 100
        assert not hybrid.wait_in_sync(0.05)
    finally:
        stores.cloud.resume()
    assert_equal(hybrid, stores)
    assert hybrid.status().lag_entries == 0


@pytest.mark.parametrize("preference", list(ReadPreference))
@pytest.mark.parametrize("ack", list(Ack))
def test_whoever_writes_reads_it(
    linked_stores: tuple[Stores, Link], open_client: Open, preference: ReadPreference, ack: Ack
) -> None:
    stores, link = linked_stores
    hybrid = open_client(stores.local.url, link.url, ack=ack, read_preference=preference, decode_responses=True)
    for n in range(30):
        hybrid.set("k", n)
        assert hybrid.get("k") == str(n)
        hybrid.pipeline().rpush("l", n).execute()
        assert hybrid.llen("l") == n + 1
        assert hybrid.pipeline().get("k").llen("l").execute() == [str(n), n + 1]
    assert_equal(hybrid, stores)


def gets(store: Any) -> int:
    return int(store.info("commandstats").get("cmdstat_hget", {"calls": 0})["calls"])


@pytest.mark.parametrize("preference", ["local", "cloud"])
def test_reads_go_to_the_preferred_store(stores: Stores, open_client: Open, preference: str) -> None:
    hybrid = open_client(stores.local.url, stores.cloud.url, read_preference=preference)
    hybrid.hset("h", "f", "v")
    assert hybrid.wait_in_sync(10)
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        before = [gets(local), gets(cloud)]
        for _ in range(10):
            assert hybrid.hget("h", "f") == b"v"
            assert hybrid.pipeline(transaction=False).hget("h", "f").execute() == [b"v"]
        asked = [gets(local) - before[0], gets(cloud) - before[1]]
    assert asked == ([20, 0] if preference == "local" else [0, 20])


def test_reads_change_over_at_once(hybrid: HybridRedis, stores: Stores) -> None:
    hybrid.hset("h", "f", "v")
    assert hybrid.wait_in_sync(10)
    with client(stores.cloud.url) as cloud:
        hybrid.change_settings(read_preference="cloud")
        hybrid.hget("h", "f")
        assert gets(cloud) == 1
        hybrid.change_settings(read_preference="local")
        hybrid.hget("h", "f")
        assert gets(cloud) == 1


def test_write_both_off_leaves_the_cloud_alone(stores: Stores, open_client: Open) -> None:
    hybrid = open_client(stores.local.url, stores.cloud.url, write_both=False, decode_responses=True)
    hybrid.set("k", "v", ex=100)
    hybrid.pipeline().incr("n").spop("none").execute()
    hybrid.incrbyfloat("f", 0.5)
    assert hybrid.mget("k", "n", "f") == ["v", "1", "0.5"]
    assert hybrid.keys() and hybrid.dbsize() == 3
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        kept = set(local.keys())
        assert {key for key in kept if not key.startswith(b"hybrid:")} == {b"f", b"k", b"n"}
        assert b"hybrid:log" not in kept
        assert cloud.keys() == []


def test_write_both_turned_on_while_running(stores: Stores, open_client: Open) -> None:
    hybrid = open_client(stores.local.url, stores.cloud.url, write_both=False, decode_responses=True)
    hybrid.set("k", "v")
    hybrid.change_settings(write_both=True)
    assert hybrid.set("k2", "v2") is True
    assert hybrid.get("k") == "v", "what was written before is still there"
    with client(stores.cloud.url) as cloud:
        wait_until(lambda: cloud.get("k2") == b"v2", "the write reaches the cloud")


def test_write_both_turned_off_while_running(hybrid: HybridRedis, stores: Stores) -> None:
    hybrid.set("k", "v")
    assert hybrid.wait_in_sync(10)
    hybrid.change_settings(write_both=False)
    hybrid.set("local", "only")
    with client(stores.cloud.url) as cloud:
        assert sorted(key for key in cloud.scan_iter() if not key.startswith(b"hybrid:")) == [b"k"]
    hybrid.delete("local")
    hybrid.change_settings(write_both=True)
    hybrid.set("k", "both again")


def test_ack_changes_while_running(hybrid: HybridRedis, stores: Stores) -> None:
    settings = hybrid.change_settings(ack="local")
    assert settings is hybrid.settings
    assert settings.ack is Ack.LOCAL
    assert hybrid.status().config_version == 0, "the live configuration, which nobody changed"
    hybrid.incr("n")
    hybrid.change_settings(ack=Ack.BOTH)
    with client(stores.cloud.url) as cloud:
        hybrid.incr("n")
        assert cloud.get("n") == b"2"


def test_a_change_that_makes_no_sense_changes_nothing(hybrid: HybridRedis) -> None:
    before = hybrid.settings
    for changes in ({"ack": "maybe"}, {"write_both": "yes"}, {"cloud_timeout_s": -1}, {"nonsense": 1}):
        with pytest.raises(ConfigurationError):
            hybrid.change_settings(**changes)
    assert hybrid.settings is before
    assert hybrid.set("k", "v") is True


# -- what is said about nonsense

SECRET = "s3cret-Passw0rd"
LOCAL = "redis://localhost:6379"
NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({}, "no local store is configured: set REDIS_URL"),
    ({"local_url": f"http://u:{SECRET}@host"}, r"REDIS_URL \(local_url\) must start with redis://"),
    (
        {"local_url": f"redis://u:{SECRET}@host:port"},
        r"REDIS_URL \(local_url\) is not a valid URL; write it as redis://",
    ),
    ({"local_url": f"redis://u:{SECRET}@"}, r"REDIS_URL \(local_url\) names no host"),
    ({"local_url": f"{SECRET}"}, r"must start with redis://"),
    ({"local_url": 6379}, r"must be a URL such as redis://localhost:6379, not a int"),
    ({"local_url": LOCAL, "cloud_url": LOCAL}, "name the same store"),
    (
        {"local_url": LOCAL, "cloud_url": f"https://u:{SECRET}@x.upstash.io"},
        r"UPSTASH_REDIS_URL .* must start",
    ),
    ({"local_url": LOCAL, "ack": "all"}, r"REDIS_WRITE_ACK \(ack\) must be 'both' or 'local', not 'all'"),
    ({"local_url": LOCAL, "read_preference": 1}, r"must be 'local' or 'cloud' or 'fastest', not 1"),
    ({"local_url": LOCAL, "write_both": "yes"}, r"REDIS_WRITE_BOTH \(write_both\) must be True or False"),
    ({"local_url": LOCAL, "local_timeout_s": 0}, r"REDIS_LOCAL_TIMEOUT .* must be a positive number of seconds, not 0"),
    ({"local_url": LOCAL, "sync_interval_s": float("nan")}, "must be a positive number of seconds, not nan"),
    ({"local_url": f"redis://u:{SECRET}@host:6379/x?socket_timeout=abc"}, "host:6379"),
]


@pytest.mark.parametrize(("given", "message"), NONSENSE, ids=[str(n) for n in range(len(NONSENSE))])
def test_nonsense_is_refused_with_a_word_on_what_to_do(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as error:
        HybridRedis(Settings(**given))
    assert isinstance(error.value, ValueError)
    assert SECRET not in f"{error.value!r} {error.value}"
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("REDIS_WRITE_BOTH", "maybe", "REDIS_WRITE_BOTH must be true or false, not 'maybe'"),
        ("REDIS_CLOUD_TIMEOUT", "fast", "REDIS_CLOUD_TIMEOUT must be a number of seconds, not 'fast'"),
        ("REDIS_WRITE_ACK", "none", "REDIS_WRITE_ACK"),
        ("REDIS_URL", "localhost", "REDIS_URL"),
    ],
)
def test_nonsense_in_the_environment_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, message: str
) -> None:
    monkeypatch.setenv("REDIS_URL", LOCAL)
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError, match=message):
        HybridRedis.from_env(None)


def test_arguments_come_before_the_environment_and_that_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stores: Stores
) -> None:
    file = tmp_path / ".env"
    file.write_text(
        f"REDIS_URL={stores.local.url}\nUPSTASH_REDIS_URL={stores.cloud.url}\n"
        "REDIS_WRITE_ACK=local\nREDIS_READ_PREFERENCE=cloud\nREDIS_SYNC_INTERVAL=7\n"
    )
    for variable in ("REDIS_URL", "UPSTASH_REDIS_URL", "REDIS_WRITE_ACK", "REDIS_SYNC_INTERVAL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REDIS_READ_PREFERENCE", "fastest")
    with HybridRedis.from_env(file, sync_interval_s=9.0, decode_responses=True, local_timeout_s=3.0) as hybrid:
        settings = hybrid.settings
        assert (settings.local_url, settings.cloud_url) == (stores.local.url, stores.cloud.url)
        assert (settings.ack, settings.read_preference) == (Ack.LOCAL, ReadPreference.FASTEST)
        assert settings.sync_interval_s == 9.0
        hybrid.set("k", "v")
        assert hybrid.get("k") == "v", "options of redis-py are passed on"


def test_a_broken_env_file_is_named_with_the_line(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"REDIS_URL={LOCAL}\nthis is ' no assignment {SECRET}\n")
    with pytest.raises(ConfigurationError, match=r"\.env, line 2: write it as NAME=value") as error:
        HybridRedis.from_env(file)
    assert SECRET not in str(error.value)


def test_no_repr_shows_a_password() -> None:
    url = f"redis://user:{SECRET}@127.0.0.1:1/0?password={SECRET}"
    settings = Settings(local_url=url, cloud_url=f"rediss://:{SECRET}@x.example:1", alert_urls=(f"mailto://{SECRET}",))
    for shown in (repr(settings), str(settings), str(settings.masked()), repr(HybridRedis(settings))):
        assert SECRET not in shown
    assert "redis://***@127.0.0.1:1" in repr(settings)


@pytest.mark.parametrize("kind", [HybridRedis, aio.HybridRedis], ids=["threads", "asyncio"])
def test_a_cache_in_the_connection_is_refused_with_the_reason(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"cache_config: .*would outlive a failover"):
        kind.from_urls("redis://localhost", protocol=3, cache_config=CacheConfig())
    pool = redis.ConnectionPool.from_url("redis://localhost", protocol=3, cache_config=CacheConfig())
    with pytest.raises(ConfigurationError, match="cache_config: "):
        kind.from_pool(pool)


def test_options_of_redis_pys_from_url_are_accepted(stores: Stores) -> None:
    options = {"single_connection_client": True, "auto_close_connection_pool": True, "decode_responses": True}
    with HybridRedis.from_url(stores.local.url, cloud_url=stores.cloud.url, **PATIENT, **options) as hybrid:
        assert hybrid.set("k", "v") and hybrid.get("k") == "v"
    with HybridRedis.from_urls(stores.local.url, stores.cloud.url, **PATIENT, **options) as hybrid:
        assert hybrid.get("k") == "v"


def test_what_the_asyncio_client_cannot_do_with_an_option_is_said() -> None:
    with pytest.raises(ConfigurationError, match="redis_connect_func: "):
        aio.HybridRedis.from_urls("redis://localhost", redis_connect_func=print)
