"""Trying a URL on the first day, and the lines of `.env` that follow from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from servers import client

from hybrid.errors import ConfigurationError
from hybrid.ops.env_file import write_env
from hybrid.ops.first_run import CHECK_COMMANDS, check_url, check_urls, overruled, planned_setup, url_in
from hybrid.settings import Settings
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store

CLOUD = "rediss://default:hush@cloud.example:6379"


def commands_of(server: redis.Redis) -> int:
    return int(server.info("stats")["total_commands_processed"])


def test_one_store_under_two_names_is_told(valkey: ServerProcess) -> None:
    name = valkey.url.replace("127.0.0.1", "localhost")
    local, cloud = check_urls(valkey.url, name)
    assert local.usable and "the local store under another name" in cloud.problem
    local, cloud = check_urls(valkey.url, f"{name}/1")
    assert local.usable and cloud.usable and "lost with it" in cloud.warnings[-1], "another database is another store"
    [alone] = check_urls(valkey.url, " ")
    assert alone.usable


@pytest.mark.parametrize(
    ("pasted", "url"),
    [
        (" redis://localhost:6379 ", "redis://localhost:6379"),
        ('"redis://localhost:6379"', "redis://localhost:6379"),
        ("UPSTASH_REDIS_URL=rediss://default:pw@x.example:6379", "rediss://default:pw@x.example:6379"),
        ("export REDIS_URL='redis://localhost:6379'", "redis://localhost:6379"),
        ("redis-cli --tls -u redis://default:pw@x.example:6379", "rediss://default:pw@x.example:6379"),
        ("redis-cli -u redis://default:pw@x.example:6379", "redis://default:pw@x.example:6379"),
        ("redis://:a'b@localhost:6379", "redis://:a'b@localhost:6379"),
        ("localhost:6379", "localhost:6379"),
    ],
)
def test_what_people_paste(pasted: str, url: str) -> None:
    assert url_in(pasted) == url


def test_the_address_for_http_is_told() -> None:
    assert "begins with rediss://" in check_url(Store.CLOUD, "https://x.example").problem


def test_usable_store_says_what_it_can_do_and_is_not_changed(valkey: ServerProcess) -> None:
    with client(valkey.url) as server:
        server.set("mine", 1)
        before = commands_of(server)
        found = check_url(Store.LOCAL, valkey.url)
        assert commands_of(server) - before <= CHECK_COMMANDS + 4  # redis-py's own at connecting, and both INFO
        assert server.dbsize() == 1
    assert found.usable
    assert (found.keys, found.paired) == (1, False)
    assert found.software.startswith("Valkey 9")
    assert found.round_trip_ms is not None
    assert {row.name: row.there for row in found.abilities}["expiry of hash fields"] is True


def test_older_redis_lacks_what_it_lacks(debian_redis: ServerProcess) -> None:
    found = check_url(Store.LOCAL, debian_redis.url)
    assert found.usable
    assert {row.name: row.there for row in found.abilities}["expiry of hash fields"] is False


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:1", "connection refused: is the server running"),
        ("http://:hush@nowhere", "REDIS_URL"),
        ("", "give a URL, such as redis://"),
        ("redis://:hush@no.such.host.invalid:6379", "host name not found"),
    ],
)
def test_problem_is_a_sentence_that_says_what_to_do(url: str, said: str) -> None:
    found = check_url(Store.LOCAL, url)
    assert not found.usable
    assert said in found.problem
    assert "hush" not in repr(found)


def test_password_is_asked_for(valkey: ServerProcess) -> None:
    with client(valkey.url) as server:
        server.config_set("requirepass", "hush")
        try:
            found = check_url(Store.LOCAL, valkey.url)
            wrong = check_url(Store.LOCAL, f"redis://:other@127.0.0.1:{valkey.port}")
        finally:
            server.config_set("requirepass", "")
    assert found.problem.startswith("password required: write it into the URL")
    assert wrong.problem.startswith("wrong user name or password")


@pytest.mark.parametrize("allowed", [("+get", "+ping", "+info"), ("+@all", "-xadd"), ("+@all", "-multi")])
def test_a_user_who_may_not_write_is_no_use(allowed: tuple[str, ...], valkey: ServerProcess) -> None:
    with client(valkey.url) as server:
        server.execute_command("ACL", "SETUSER", "reader", "on", ">hush", "~*", "&*", *allowed)
        try:
            found = check_url(Store.LOCAL, f"redis://reader:hush@127.0.0.1:{valkey.port}")
        finally:
            server.acl_deluser("reader")
        assert server.dbsize() == 0
    assert found.problem.startswith("its user lacks a permission: hybrid reads, writes and keeps its log there")


def test_store_in_the_cloud_that_is_here_is_warned_of(valkey: ServerProcess) -> None:
    assert "takes both stores" in check_url(Store.CLOUD, valkey.url).warnings[0]


def test_plan_writes_what_it_shows_and_shows_no_password(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nREDIS_URL=redis://old:6379\nOTHER=1\n")
    plan = planned_setup("redis://localhost:6379", CLOUD, "production", path)
    assert "hush" not in plan.diff
    assert "redis://old" not in plan.diff
    write_env(plan)
    settings = Settings.from_env(path, {})
    assert (settings.local_url, settings.cloud_url) == ("redis://localhost:6379", CLOUD)
    assert settings.write_both is True
    assert path.read_text().startswith("# mine\n")
    assert "OTHER=1" in path.read_text()


def test_one_store_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="same store"):
        planned_setup("redis://localhost:6379", "redis://localhost:6379", None, tmp_path / ".env")


def test_environment_that_overrules_the_file_is_named(tmp_path: Path) -> None:
    plan = planned_setup("redis://localhost:6379", CLOUD, None, tmp_path / ".env")
    assert overruled(plan, {"REDIS_URL": "redis://elsewhere:6379"}) == ("REDIS_URL",)
    assert overruled(plan, {}) == ()
