"""What happens is told: typed events to hooks, and lines in the log that an operator understands."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import pytest
from servers import Stores, wait_until

from hybrid import AllStoresDown, HybridRedis, Store, events
from hybrid.stores.processes import ServerProcess

Open = Callable[..., HybridRedis]


@pytest.fixture
def mortal(server: Callable[..., ServerProcess]) -> Stores:
    """Two stores that may be killed; they keep their data."""
    return Stores(server(persistent=True, appendfsync="always"), server(persistent=True, appendfsync="always"))


def has(seen: list[events.Event], kind: type[events.Event], **facts: Any) -> bool:
    return any(
        isinstance(event, kind) and all(getattr(event, name) == value for name, value in facts.items())
        for event in seen
    )


def at_s(event: events.Event) -> float:
    return event.at_s


def test_a_hook_gets_typed_events(mortal: Stores, open_client: Open) -> None:
    seen: list[events.Event] = []
    hybrid = open_client(mortal.local.url, mortal.cloud.url, hooks=(seen.append,))
    hybrid.set("k", "v")
    assert hybrid.wait_in_sync(10)
    assert has(seen, events.StoreUp, store=Store.LOCAL)
    assert has(seen, events.StoreUp, store=Store.CLOUD)
    assert has(seen, events.Started, local="up", cloud="up", sync="on")
    mortal.cloud.kill()
    hybrid.set("k", "w")
    wait_until(lambda: has(seen, events.StoreDown, store=Store.CLOUD), "StoreDown")
    mortal.cloud.start()
    wait_until(lambda: has(seen, events.InSync, store=Store.CLOUD), "InSync")
    assert has(seen, events.Recovered, store=Store.CLOUD)
    hybrid.change_settings(ack="local")
    assert has(seen, events.SettingsChanged, changes="ack=local", version=2)
    hybrid.close()
    assert isinstance(seen[-1], events.Stopped)
    recent = hybrid.events.recent()
    assert sorted(recent, key=at_s) == sorted(seen, key=at_s), "events of two threads may reach a hook in either order"
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen[0].at_s = 0.0  # type: ignore[misc]


def test_failover_and_degradation_are_told(mortal: Stores, open_client: Open) -> None:
    seen: list[events.Event] = []
    hybrid = open_client(mortal.local.url, mortal.cloud.url)
    hybrid.events.add_hook(seen.append)
    hybrid.set("k", "v")
    assert hybrid.wait_in_sync(10)
    mortal.local.kill()
    hybrid.set("k", "w")
    assert has(seen, events.StoreDown, store=Store.LOCAL)
    assert has(seen, events.AuthorityMoved, authority=Store.CLOUD)
    mortal.cloud.kill()
    with pytest.raises(AllStoresDown):
        hybrid.set("k", "x")
    wait_until(lambda: has(seen, events.Degraded), "Degraded")
    assert sum(isinstance(event, events.Degraded) for event in seen) == 1


@pytest.mark.parametrize("when", ["from the start", "added"])
def test_a_hook_that_fails_matters_to_nobody(
    hybrid: HybridRedis, stores: Stores, open_client: Open, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    heard: list[events.Event] = []

    def broken(event: events.Event) -> None:
        raise RuntimeError("a bug in the application")

    hooks = (broken, heard.append)
    other = open_client(stores.local.url, stores.cloud.url, hooks=hooks if when == "from the start" else ())
    if when == "added":
        for hook in hooks:
            other.events.add_hook(hook)
    assert other.set("k", "v") is True
    other.change_settings(ack="local")
    assert other.wait_in_sync(10)
    other.close()
    assert has(heard, events.SettingsChanged), "the hooks behind it are called"
    failures = [record for record in caplog.records if "an event hook failed on" in record.message]
    assert len(failures) == len(heard)
    assert all(record.name == "hybrid" and record.exc_info for record in failures)


def test_the_log_says_what_an_operator_needs(
    mortal: Stores, open_client: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hybrid")
    hybrid = open_client(mortal.local.url, mortal.cloud.url)
    hybrid.set("k", "v")
    assert hybrid.wait_in_sync(10)
    mortal.cloud.kill()
    hybrid.set("k", "w")
    mortal.cloud.start()
    wait_until(lambda: "cloud store in sync" in caplog.text, "recovery")
    hybrid.close()
    lines = [(record.levelname, record.message) for record in caplog.records if record.name.startswith("hybrid")]
    assert ("INFO", "hybrid started: local up, cloud up, sync on") in lines
    [down] = [line for line in lines if line[1].startswith("cloud store unavailable: ")]
    assert down[0] == "WARNING"
    assert down[1].endswith("; the local store carries on")
    assert any(message.startswith("cloud store recovered after ") for _, message in lines)
    assert lines[-1] == ("INFO", "hybrid stopped: entries still to ship: 0")
    assert not [line for line in lines if line[0] == "ERROR"]
    assert not [record for record in caplog.records if record.exc_info]


def test_only_so_many_events_are_kept() -> None:
    log = events.EventLog(keep=3)
    for version in range(5):
        log.emit(events.SettingsChanged(changes="", version=version))
    assert [event.version for event in log.recent()] == [2, 3, 4]  # type: ignore[attr-defined]


def test_every_event_has_a_line(hybrid: HybridRedis) -> None:
    facts: dict[str, Any] = {
        "store": Store.LOCAL,
        "authority": Store.CLOUD,
        "source": Store.LOCAL,
        "key": b"k",
        "down_s": 1.0,
        "unshipped": None,
    }
    for name in events.__all__:
        kind = getattr(events, name)
        if isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event:
            given = {f.name: facts.get(f.name, 1) for f in dataclasses.fields(kind) if f.name != "at_s"}
            assert kind(**given).message
