"""Users with limited rights in the URL of a store: what they may not do is told in words, and never drifts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from rig import HEAL_S, PATIENT, is_well
from servers import client, wait_until

from hybrid import HybridRedis, StoreState
from hybrid.events import Event, KeyRefused, StoreDown
from hybrid.ops.compare import compare
from hybrid.ops.first_run import check_url
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store

PASSWORD = "hush-hush"
ALL = ("~*", "&*", "+@all")


def users_file(folder: Path, *rights: str) -> str:
    """For a server whose user is to be there after a restart too: a file with the user, and with the default one."""
    users = ("default on nopass ~* &* +@all", f"app on >{PASSWORD} {' '.join(rights)}")
    path = folder / "users.acl"
    path.write_text("".join(f"user {user}\n" for user in users))
    return str(path)


def as_user(server: ServerProcess) -> str:
    return server.url.replace("//", f"//app:{PASSWORD}@")


def with_user(server: ServerProcess, *rights: str) -> str:
    """The URL of a user with these rights only."""
    with client(server.url) as connection:
        connection.execute_command("ACL", "SETUSER", "app", "reset", "on", f">{PASSWORD}", *rights)
    return as_user(server)


def assert_equal(local: ServerProcess, cloud: ServerProcess) -> None:
    with client(local.url) as here, client(cloud.url) as there:
        found = compare(here, there)
    assert found.identical and found.local_keys, found.differences


@pytest.mark.parametrize("kind", ["valkey", "redis-6.2"])
def test_a_user_without_dangerous_commands_serves_as_both_stores(
    server: Callable[..., ServerProcess], tmp_path: Path, kind: str
) -> None:
    """As clouds give: no CONFIG, no KEYS, no CLIENT KILL, no INFO."""
    rights = (*ALL, "-@admin", "-@dangerous")
    local, cloud = server(kind, persistent=True, aclfile=users_file(tmp_path, *rights)), server(kind)
    with HybridRedis.from_urls(as_user(local), with_user(cloud, *rights), **PATIENT) as hybrid:
        hybrid.set("k", "v", ex=1000)
        hybrid.sadd("s", 1, 2, 3)
        hybrid.spop("s")
        hybrid.xadd("x", {"f": 1})
        hybrid.pipeline().incr("n").rpush("l", "a").execute()
        assert hybrid.wait_in_sync(HEAL_S)
        assert_equal(local, cloud)
        local.kill()
        hybrid.incr("n")
        assert hybrid.status().authority is Store.CLOUD
        local.start()
        wait_until(lambda: is_well(hybrid.status()), "the way back", HEAL_S)


@pytest.mark.parametrize(
    ("rights", "reason"),
    [
        (("~*", "&*", "+@read", "+@connection", "+@pubsub"), "no permissions to run the 'eval' command"),
        (("~app:*", "&*", "+@all"), "its user may not touch hybrid's own keys (hybrid:*)"),
    ],
    ids=["may-not-write", "may-not-touch-hybrid's-keys"],
)
def test_a_user_that_may_too_little(
    server: Callable[..., ServerProcess], valkey: ServerProcess, rights: tuple[str, ...], reason: str
) -> None:
    """The store counts as down, for a reason that says what to change; the other one serves."""
    cloud, told = server(), list[Event]()
    with HybridRedis.from_urls(valkey.url, with_user(cloud, *rights), hooks=(told.append,), **PATIENT) as hybrid:
        assert hybrid.set("k", "v")
        wait_until(lambda: any(isinstance(event, StoreDown) for event in told), "that to be told", HEAL_S)
        status = hybrid.status()
        assert status.cloud is not None and status.cloud.state is StoreState.DOWN
    [said] = [event for event in told if isinstance(event, StoreDown)]
    assert reason in said.message
    assert not any(PASSWORD in event.message for event in told)


def test_a_wrong_password(server: Callable[..., ServerProcess], valkey: ServerProcess) -> None:
    cloud, told = server(), list[Event]()
    url = with_user(cloud, *ALL).replace(PASSWORD, "wrong-wrong")
    with HybridRedis.from_urls(valkey.url, url, hooks=(told.append,), **PATIENT) as hybrid:
        assert hybrid.set("k", "v")
        wait_until(lambda: any(isinstance(event, StoreDown) for event in told), "that to be told", HEAL_S)
    assert {event.reason for event in told if isinstance(event, StoreDown)} == {"wrong user name or password"}
    assert "wrong-wrong" not in repr(hybrid) + "".join(event.message for event in told)
    assert check_url(Store.CLOUD, url).problem.startswith("wrong user name or password: ")


@pytest.mark.parametrize("kind", ["valkey", "redis-6.2"])
def test_a_key_that_the_other_store_does_not_allow(
    server: Callable[..., ServerProcess], valkey: ServerProcess, kind: str
) -> None:
    """It is set aside, as one too large would be; the keys behind it go on."""
    cloud, told = server(kind), list[Event]()
    url = with_user(cloud, "~app:*", "~hybrid:*", "&*", "+@all")
    with HybridRedis.from_urls(valkey.url, url, ack="local", hooks=(told.append,), **PATIENT) as hybrid:
        hybrid.set("other", 1)
        hybrid.set("app:1", 1)
        wait_until(lambda: any(isinstance(event, KeyRefused) for event in told), "that to be told", HEAL_S)
        with client(cloud.url) as plain:
            wait_until(lambda: plain.get("app:1") == b"1", "the keys behind it", HEAL_S)
        assert hybrid.status().refused_keys == 1
        with_user(cloud, *ALL)
        hybrid.set("other", 2)
        assert hybrid.wait_in_sync(HEAL_S)
        assert_equal(valkey, cloud)


def test_a_user_that_may_not_ship_is_told_of_in_the_log(
    server: Callable[..., ServerProcess], valkey: ServerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """Writes go on; that nobody ships is no lack of processes then."""
    caplog.set_level(logging.WARNING, "hybrid")
    local = server()
    with HybridRedis.from_urls(with_user(local, *ALL), valkey.url, ack="local", **PATIENT) as hybrid:
        hybrid.set("k", 1)
        assert hybrid.wait_in_sync(HEAL_S)
        with_user(local, *ALL, "-eval")
        hybrid.set("k", 2)
        wait_until(lambda: "does not let this process ship its log" in caplog.text, "that to be told", HEAL_S)
        with_user(local, *ALL)
        assert hybrid.wait_in_sync(HEAL_S)
        assert_equal(local, valkey)
    assert caplog.text.count("does not let this process ship its log") == 1


def test_what_the_user_may_not_do_is_said_to_the_caller(
    server: Callable[..., ServerProcess], valkey: ServerProcess
) -> None:
    local = server()
    url = with_user(local, "~app:*", "~hybrid:*", "&*", "+@all", "-hset")
    with HybridRedis.from_urls(url, valkey.url, **PATIENT) as hybrid:
        for refused in (lambda: hybrid.set("other", 1), lambda: hybrid.hset("app:h", "f", 1), lambda: hybrid.get("x")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                refused()
        hybrid.set("app:1", 1)
        assert hybrid.wait_in_sync(HEAL_S)
        assert_equal(local, valkey)
