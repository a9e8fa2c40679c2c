"""The live configuration on two real stores: pushed to every client, kept on both, reverted in time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from servers import Pool, Stores, client, wait_until

from hybrid import HybridRedis, ReadPreference, Store, StoreState
from hybrid.core.live import Live, Touch
from hybrid.errors import AllStoresDown, ConfigurationConflict, ConfigurationError
from hybrid.ops.control import Control
from hybrid.replication import live_copies
from hybrid.settings import Settings
from hybrid.types import Source

Open = Callable[..., HybridRedis]
CHANGES = ("set", "xadd", "publish", "exec")


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is behind is written soon."""
    monkeypatch.setattr(live_copies, "GRACE_S", (0.1, 0.3))


@pytest.fixture
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture
def open_client(pair: Stores) -> Iterator[Open]:
    """Open clients that fix nothing but their stores and their patience in code."""
    opened: list[HybridRedis] = []

    def open_(**settings: Any) -> HybridRedis:
        urls = {"local_url": pair.local.url, "cloud_url": pair.cloud.url}
        patience = {"local_timeout_s": 3.0, "cloud_timeout_s": 3.0}
        opened.append(HybridRedis.from_env(None, **{**urls, **patience, **settings}))
        opened[-1].start()
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def record(store: redis.Redis) -> Live:
    return Live.parse(store.get("hybrid:config"))


def test_a_change_reaches_every_client_and_both_stores(pair: Stores, open_client: Open) -> None:
    clients = [open_client(name=f"c{number}") for number in range(3)]
    fixed = open_client(read_preference="local", name="fixed")
    changed = Control(clients[0]).change("ana", read_preference="cloud", sync_interval_s=60)
    assert (changed.version, changed.missed) == (1, ())
    assert changed.pinned == {"fixed": ("read_preference",)}
    for each in clients:
        wait_until(lambda each=each: each.settings.read_preference is ReadPreference.CLOUD)  # type: ignore[misc]
        assert each.live.version == 1
    wait_until(lambda: fixed.live.version == 1)
    assert (fixed.settings.read_preference, fixed.settings.sync_interval_s) == (ReadPreference.LOCAL, 60)
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        assert record(local) == record(cloud) == clients[2].live.document
        assert local.xlen("hybrid:audit") == cloud.xlen("hybrid:audit") == 1


def test_the_later_editor_is_told_and_changes_nothing(open_client: Open) -> None:
    first, second = open_client(), open_client()
    seen = Control(second).version
    Control(first).change("ana", ack="local")
    with pytest.raises(ConfigurationConflict, match=r"ana changed ack \(version 1\)"):
        Control(second).change("bob", seen, ack="both", sync_interval_s=7)
    assert first.live.version == 1
    assert first.settings.sync_interval_s == 300
    assert Control(second).change("bob", 1, sync_interval_s=7).version == 2


def test_it_is_in_force_before_the_first_command_of_a_new_process(pair: Stores, open_client: Open) -> None:
    Control(open_client()).change("ana", write_both=False)
    late = open_client()
    assert late.settings.write_both is False
    assert late.live.effective()["write_both"].source is Source.LIVE
    late.set("k", "local only")
    with client(pair.local.url) as local:
        assert local.xlen("hybrid:log") == 0


def test_an_override_reverts_by_itself_everywhere_and_once(pair: Stores, open_client: Open) -> None:
    clients = [open_client() for _ in range(3)]
    control = Control(clients[0])
    control.change("ana", read_preference="fastest")
    control.override("bob", for_s=1.0, read_preference="cloud")
    wait_until(lambda: all(each.settings.read_preference is ReadPreference.CLOUD for each in clients))
    assert {row.name: row.source for row in control.effective()}["read_preference"] is Source.OVERRIDE
    wait_until(lambda: all(each.settings.read_preference is ReadPreference.FASTEST for each in clients))
    wait_until(lambda: all(each.live.version == 3 for each in clients), "one of them has written that down")
    lines = [(line.author, line.what) for line in control.audit()]
    assert lines == [("bob (by the clock)", "override ended"), ("bob", "override"), ("ana", "set")]
    with pytest.raises(ConfigurationError, match="30 days"):
        control.override("bob", for_s=0, read_preference="cloud")


def test_of_two_copies_the_higher_version_counts_and_the_other_store_gets_it(pair: Stores, open_client: Open) -> None:
    older = Live(2, "ana", 1.0, {"ack": "local"}, None, {"ack": Touch(2, "ana", 1.0)})
    newer = Live(3, "bob", 2.0, {"sync_interval_s": 9.0}, None, {"sync_interval_s": Touch(3, "bob", 2.0)})
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        local.set("hybrid:config", older.record)
        cloud.set("hybrid:config", newer.record)
        hybrid = open_client()
        assert (hybrid.live.version, hybrid.settings.sync_interval_s) == (3, 9.0)
        assert hybrid.settings.ack == "both"
        wait_until(lambda: record(local) == newer, "the store that was behind has it")


def test_an_edit_that_lost_is_in_the_audit_trail(pair: Stores, open_client: Open) -> None:
    control = Control(open_client())
    control.change("ana", ack="local")
    control.change("bob", sync_interval_s=9)
    lost = replace(control.document, author="eve", at_s=control.document.at_s - 5, values={"ack": "both"})
    with client(pair.cloud.url) as cloud:
        cloud.set("hybrid:config", lost.record)
        hybrid = open_client()
        wait_until(lambda: record(cloud) == control.document)
        assert hybrid.live.document == control.document
        line = cloud.xrevrange("hybrid:audit", count=1)[0][1]
        assert (line[b"who"], line[b"what"]) == (b"eve", b"superseded")


def test_a_push_on_either_store_is_enough(pair: Stores, open_client: Open) -> None:
    hybrid = open_client()
    pushed = Live(5, "ana", 1.0, {"sync_interval_s": 11.0})
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        cloud.set("hybrid:config", pushed.record)
        cloud.publish("hybrid:config@0", pushed.record)
        wait_until(lambda: hybrid.settings.sync_interval_s == 11.0)
        wait_until(lambda: record(local) == pushed, "its editor died before it wrote the other store")


def test_what_is_not_understood_costs_the_rest_nothing(
    pair: Stores, open_client: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hybrid")
    strange = Live(5, "ana", 1.0, {"colour": "blue", "ack": "moon", "sync_interval_s": 11.0})
    with client(pair.local.url) as local:
        local.set("hybrid:config", strange.record)
        hybrid = open_client()
        wait_until(lambda: hybrid.settings.sync_interval_s == 11.0, "the rest to be taken")
        assert hybrid.settings.ack == "both"
        wait_until(lambda: "not understood here" in caplog.text, "what is wrong to be told")

        def rubbish_is_told() -> bool:
            local.publish("hybrid:config@0", b"rubbish")  # who hears it may be connecting anew just then
            return "cannot be read" in caplog.text

        wait_until(rubbish_is_told)
        assert hybrid.live.version == 5


@pytest.mark.parametrize(
    "changes", [{}, {"cloud_url": "redis://:hunter2@x:1"}, {"colour": "blue"}, {"ack": "moon"}, {"name": "x"}]
)
def test_nonsense_changes_nothing(open_client: Open, changes: dict[str, Any]) -> None:
    control = Control(open_client())
    with pytest.raises(ConfigurationError) as error:
        control.change("ana", **changes)
    assert "hunter2" not in str(error.value)
    assert (control.version, control.audit()) == (0, ())


def test_timeouts_and_log_level_take_effect(open_client: Open) -> None:
    hybrid = HybridRedis.from_env(None, local_url=open_client().settings.local_url)
    with hybrid:
        hybrid.start()
        control = Control(hybrid)
        control.change("ana", local_timeout_s=1.5, log_level="error")
        assert hybrid._engine.endpoints[Store.LOCAL].timeout_s == 1.5
        assert logging.getLogger("hybrid").level == logging.ERROR
        control.change("ana", local_timeout_s=None, log_level=None)
        assert hybrid._engine.endpoints[Store.LOCAL].timeout_s == Settings().local_timeout_s
        assert logging.getLogger("hybrid").level == logging.NOTSET
        assert hybrid.set("k", "v") is True


def test_what_it_costs_the_cloud_does_not_grow_with_the_processes(pair: Stores, open_client: Open) -> None:
    clients = [open_client() for _ in range(4)]
    wait_until(lambda: all(each.status().cloud.state is StoreState.UP for each in clients))  # type: ignore[union-attr]
    with client(pair.cloud.url) as cloud:

        def calls() -> dict[str, int]:
            stats = cloud.info("commandstats")
            return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in CHANGES}

        before = calls()
        Control(clients[0]).change("ana", sync_interval_s=60)
        wait_until(lambda: all(each.live.version == 1 for each in clients))
        # Besides these, its editor connects and looks (WATCH, GET, EXISTS, MULTI); the others ask nothing.
        assert {name: now - before[name] for name, now in calls().items()} == dict.fromkeys(CHANGES, 1)


def test_dual_write_is_not_switched_off_while_the_cloud_store_takes_the_writes(pair: Stores, open_client: Open) -> None:
    hybrid = open_client()
    hybrid.set("k", 1)
    pair.local.kill()
    hybrid.set("k", 2)
    control = Control(hybrid)
    with pytest.raises(ConfigurationError, match="wait for the local store"):
        control.change("ana", write_both=False)
    assert control.change("ana", sync_interval_s=7).missed == ("local",)
    pair.cloud.kill()
    wait_until(lambda: hybrid.status().cloud.state is StoreState.DOWN)  # type: ignore[union-attr]
    with pytest.raises(AllStoresDown):
        control.change("ana", sync_interval_s=8)
    pair.local.start()
    pair.cloud.start()


def test_a_record_that_was_told_before_the_subscription_is_seen(pair: Stores, open_client: Open) -> None:
    """The authority moved between a watcher's greeting and its subscription: nobody tells it again."""
    opened = open_client(name="opened")
    with client(pair.cloud.url) as cloud:
        cloud.set("hybrid:authority", "cloud 2 held")
    opened._engine.live.look(Store.CLOUD)
    assert opened._board.authority.record == b"cloud 2 held"
