"""The command line: what may run where, what asks first, and answers of real stores side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from servers import Stores, new_server, wait_until

from hybrid import HybridRedis
from hybrid.core.console import judged, size_question
from hybrid.core.shell import split_line
from hybrid.errors import CommandRefused, ConfigurationError
from hybrid.ops.console import Answer, Console, Target, completions
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store

DIRECT = [Target.LOCAL, Target.CLOUD, Target.EACH]


def judge(line: str, target: Target = Target.CLIENT, **how: bool) -> object:
    return judged(split_line(line), target, **{"operator": True, **how})


# -- the rules


@pytest.mark.parametrize("target", DIRECT)
@pytest.mark.parametrize("line", ["SET k v", "DEL k", "EVAL 'return 1' 0", "FLUSHALL", "CONFIG SET a b", "NEWCMD x"])
def test_write_past_hybrid_is_refused_until_it_is_meant(line: str, target: Target) -> None:
    with pytest.raises(CommandRefused, match="would not learn of it"):
        judge(line, target)
    assert judge(line, target, past_hybrid=True).changes  # type: ignore[attr-defined]


@pytest.mark.parametrize("target", DIRECT)
@pytest.mark.parametrize("line", ["CONFIG SET a b", "SHUTDOWN", "NEWCMD x", "SAVE", "CLIENT KILL x", "SLOWLOG RESET"])
def test_replicated_is_no_advice_for_what_it_does_not_replicate(line: str, target: Target) -> None:
    with pytest.raises(CommandRefused, match="allow writes to") as refusal:
        judge(line, target)
    assert "Replicated" not in str(refusal.value)


@pytest.mark.parametrize(
    "line", ["GET k", "INFO", "CONFIG GET maxmemory", "SLOWLOG GET", "PING", "CONFIG HELP", "COMMAND DOCS GET"]
)
def test_reading_one_store_needs_nothing(line: str) -> None:
    found = judge(line, Target.CLOUD)
    assert (found.changes, found.phrase) == (False, "")  # type: ignore[attr-defined]


@pytest.mark.parametrize("target", list(Target))
@pytest.mark.parametrize(
    "line", ["SET k v", "FLUSHALL", "CONFIG SET a b", "CONFIG GET *", "KEYS *", "CLIENT LIST", "NEW"]
)
def test_viewer_reads_data_only(line: str, target: Target) -> None:
    with pytest.raises(CommandRefused, match="viewer"):
        judge(line, target, operator=False, past_hybrid=True)
    judge("HGETALL k", target, operator=False)


@pytest.mark.parametrize(
    ("line", "target", "phrase"),
    [
        ("flushall", Target.CLIENT, "FLUSHALL"),
        ("KEYS *", Target.LOCAL, "KEYS"),
        ("config set maxmemory 1", Target.LOCAL, "CONFIG SET"),
        ("DEBUG SLEEP 1", Target.CLOUD, "DEBUG"),
        ("SHUTDOWN", Target.LOCAL, "SHUTDOWN"),
        ("ACL SETUSER x", Target.LOCAL, "ACL SETUSER"),
        ("script flush", Target.LOCAL, "SCRIPT FLUSH"),
    ],
)
def test_dangerous_commands_ask(line: str, target: Target, phrase: str) -> None:
    found = judge(line, target, past_hybrid=True)
    assert found.phrase == phrase  # type: ignore[attr-defined]
    assert phrase in found.effect  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("line", "where"), [("FLUSHALL", "both stores"), ("SAVE", "one store"), ("KEYS *", "one store")]
)
def test_what_asks_first_says_how_many_stores_it_reaches(line: str, where: str) -> None:
    assert judge(line).effect.endswith(f" on {where}.")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "line", ["MULTI", "SUBSCRIBE c", "MONITOR", "SELECT 1", "AUTH x", "client reply off", "HELLO 3"]
)
def test_what_a_single_line_cannot_do_is_refused_with_the_reason(line: str) -> None:
    for target in Target:
        with pytest.raises(CommandRefused):
            judge(line, target, past_hybrid=True)


@pytest.mark.parametrize("target", DIRECT)
def test_hybrid_s_own_keys_are_not_written_past_it(target: Target) -> None:
    with pytest.raises(CommandRefused, match="hybrid's own"):
        judge("DEL hybrid:log", target, past_hybrid=True)


def test_blocking_past_hybrid_is_refused() -> None:
    with pytest.raises(CommandRefused, match="wait"):
        judge("BLPOP k 0", Target.LOCAL, past_hybrid=True)


def test_empty_line_says_what_to_type() -> None:
    with pytest.raises(ConfigurationError, match="type a command"):
        judge("  ")


@pytest.mark.parametrize(
    ("line", "question"),
    [
        ("SMEMBERS s", (b"SCARD", b"s")),
        ("LRANGE l 0 -1", (b"LLEN", b"l")),
        ("XRANGE x - +", (b"XLEN", b"x")),
        ("KEYS *", (b"DBSIZE",)),
        ("LRANGE l 0 10", None),
        ("XRANGE x - + COUNT 5", None),
        ("INCR n", None),
    ],
)
def test_answers_as_long_as_their_key_are_measured_first(line: str, question: tuple[bytes, ...] | None) -> None:
    found = size_question(split_line(line))
    assert (found and found[0]) == question


def test_completion_begins_with_what_was_typed_then_contains_it() -> None:
    names = [row.name for row in completions("hg")]
    assert names[0].startswith("HG")
    assert "HGETALL" in names
    assert next(iter(completions("config s"))).name == "CONFIG SET"
    assert completions("  ") == ()


@pytest.mark.parametrize(("line", "name"), [("set k v", "SET"), ("get", "GET"), ("config get x", "CONFIG GET")])
def test_a_line_is_explained_by_its_command(line: str, name: str) -> None:
    assert completions(line)[0].name == name


# -- real stores


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stores, Console]]:
    folder = tmp_path_factory.mktemp("console")
    local, cloud = (new_server("valkey", folder / name).start() for name in ("local", "cloud"))
    stores = Stores(local, cloud)
    with HybridRedis.from_urls(local.url, cloud.url) as client:
        client.start()
        yield stores, Console(client)
    local.kill()
    cloud.kill()


def run(console: Console, text: str, target: Target = Target.EACH, **how: bool) -> tuple[Answer, ...]:
    return console.run(console.planned(text, target, **{"operator": True, **how}))


def test_write_through_the_client_is_on_both(pair: tuple[Stores, Console]) -> None:
    _, console = pair
    (done,) = run(console, 'SET greeting "hello world"', Target.CLIENT)
    assert (done.lines, done.store, done.failed) == (("OK",), None, False)
    answers = run(console, "GET greeting")
    assert [answer.store for answer in answers] == list(Store)
    assert {answer.lines for answer in answers} == {('"hello world"',)}
    assert run(console, "GET greeting", Target.CLIENT)[0].lines == ('"hello world"',)
    assert run(console, "TYPE greeting", Target.LOCAL)[0].lines == ("string",)


def test_write_to_one_store_stays_there(pair: tuple[Stores, Console]) -> None:
    _, console = pair
    (done,) = run(console, "SET alone 1", Target.CLOUD, past_hybrid=True)
    assert (done.store, done.lines) == (Store.CLOUD, ("OK",))
    assert [answer.lines for answer in run(console, "GET alone")] == [("(nil)",), ('"1"',)]


def test_a_server_tells_how_its_commands_are_written(pair: tuple[Stores, Console]) -> None:
    _, console = pair
    assert console.syntax("LLEN") == "LLEN key"
    assert console.syntax("CONFIG GET") == "CONFIG GET parameter [parameter ...]"
    assert console.syntax("ZRANGE") == (
        "ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]"
    )
    written = console.syntax("XADD")
    assert written is not None and written.endswith("<* | id> field value [field value ...]")
    assert console.syntax("DBSIZE") == "DBSIZE"
    assert console.syntax("NO.SUCH") is None


def test_error_of_a_store_is_an_answer(pair: tuple[Stores, Console]) -> None:
    _, console = pair
    run(console, "SET word x", Target.CLIENT)
    for target in (Target.CLIENT, Target.LOCAL):
        (answer,) = run(console, "LPUSH word 1" if target is Target.CLIENT else "LLEN word", target)
        assert answer.failed
        assert answer.lines[0].startswith("(error) ")


def test_reply_that_would_be_too_long_is_not_fetched(pair: tuple[Stores, Console]) -> None:
    stores, console = pair
    with redis.Redis(port=stores.local.port) as local:
        local.rpush("long", *range(10_001))
    (answer,) = run(console, "LRANGE long 0 -1", Target.LOCAL)
    assert answer.failed
    assert "10,001 elements" in answer.lines[0]
    assert "LRANGE long 0 99" in answer.lines[0]
    (part,) = run(console, "LRANGE long 0 9", Target.LOCAL)
    assert len(part.lines) == 10


def test_passwords_in_a_configuration_are_hidden(pair: tuple[Stores, Console]) -> None:
    _, console = pair
    run(console, "CONFIG SET masterauth hush", Target.LOCAL, past_hybrid=True)
    (answer,) = run(console, "CONFIG GET master*", Target.LOCAL)
    assert "hush" not in "\n".join(answer.lines)
    assert '"***"' in "\n".join(answer.lines)


def test_store_that_is_gone_is_an_answer_beside_the_other_one(tmp_path: Path, valkey: object) -> None:
    url = valkey.url  # type: ignore[attr-defined]
    with HybridRedis.from_urls(url, "redis://127.0.0.1:1") as client:
        local, cloud = run(Console(client), "PING")
    assert (local.lines, local.failed) == (("PONG",), False)
    assert cloud.failed


def test_a_write_says_which_store_has_missed_it(server: Callable[..., ServerProcess]) -> None:
    local, cloud = server(), server()
    with HybridRedis.from_urls(local.url, cloud.url, local_timeout_s=0.9, cloud_timeout_s=0.9) as hybrid:
        console = Console(hybrid)
        assert run(console, "SET k v", Target.CLIENT)[0].missed is None
        cloud.kill()
        wait_until(lambda: hybrid._engine.board.state(Store.CLOUD).is_lost, "the loss noticed")
        assert run(console, "SET k w", Target.CLIENT)[0].missed is Store.CLOUD
        assert run(console, "GET k", Target.CLIENT)[0].missed is None
        assert run(console, "RPUSH k w", Target.CLIENT)[0].missed is None, "it failed"


def test_a_store_that_does_not_answer_has_given_no_other_answer(server: Callable[..., ServerProcess]) -> None:
    local, cloud = server(), server()
    with HybridRedis.from_urls(local.url, cloud.url, local_timeout_s=0.9, cloud_timeout_s=0.9) as hybrid:
        hybrid.start()
        cloud.kill()
        here, there = run(Console(hybrid), "GET k", Target.EACH)
        assert (here.silent, here.failed) == (False, False)
        assert (there.silent, there.failed, there.lines) == (True, True, ("(error) connection refused",))
