"""History and schedule of drills, and the witness that tells a busy machine."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from servers import Stores, client, wait_until

from hybrid import HybridRedis
from hybrid.core.guarantees import Evidence, judged
from hybrid.core.live import Live, Touch
from hybrid.errors import ConfigurationError, StoreUnavailable
from hybrid.events import StoreDown
from hybrid.ops.drills import (
    DRILLS,
    DrillReport,
    Figures,
    Outcome,
    Where,
    drill_history,
    drills_json,
    drills_markdown,
    duty,
    history,
    leftovers,
    named_drills,
    parse_schedule,
    record_drill,
    require_known,
)
from hybrid.ops.drills.rig import Rig
from hybrid.ops.drills.witness import Witness, fallen_out
from hybrid.settings import Settings
from hybrid.stores.control import environment
from hybrid.types import Store

MONDAY = datetime(2026, 11, 23, 9, 0)


def report(drill: str = "cloud-hung", slot: datetime | None = None, started_at_s: float = 1.0) -> DrillReport:
    figures = Figures(rto_s=0.25, rpo_writes=0, in_sync_s=1.5, commands=200)
    return DrillReport(
        drill, Where.STORES, started_at_s, started_at_s + 4, Outcome.PASSED, "Kept: G1.", figures,
        judged(Evidence(), ("G1",)), (), author="ana", slot_s=None if slot is None else slot.timestamp(),
    )  # fmt: skip


@pytest.fixture
def hybrid(stores: Stores) -> Iterator[HybridRedis]:
    with HybridRedis.from_urls(stores.local.url, stores.cloud.url, decode_responses=True) as hybrid:
        yield hybrid


def test_the_latest_reports_are_kept_on_the_local_store_newest_first(
    hybrid: HybridRedis, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "KEPT", 100)
    with client(stores.local.url) as local:
        for _ in range(250):
            local.xadd("hybrid:drills", {"report": b"of another version"})
        record_drill(hybrid, report("local-cut"))
        record_drill(hybrid, report("cloud-cut"))
        assert local.xlen("hybrid:drills") <= 200  # about the bound: whole nodes are dropped
    assert [found.drill for found in drill_history(hybrid)] == ["cloud-cut", "local-cut"]
    with client(stores.cloud.url) as cloud:
        assert cloud.exists("hybrid:drills") == 0
    stores.local.pause()
    record_drill(hybrid, report("local-hung"))
    assert [found.drill for found in drill_history(hybrid)] == ["local-hung"]
    stores.local.resume()
    assert sorted(found.drill for found in drill_history(hybrid)) == ["cloud-cut", "local-cut", "local-hung"]
    stores.local.kill()
    stores.cloud.kill()
    with pytest.raises(StoreUnavailable):
        drill_history(hybrid)


def test_several_reports_as_one_page_and_one_document() -> None:
    text = drills_markdown([report(), report("local-cut"), report("failover-failback")])
    assert "| Failover and failback | passed | 0.25 s | – |" in text, "no store has to take over"
    assert text.index("| Cloud hung | passed | 0.25 s | 0 |") < text.index("## Local cut: passed")
    assert '"passed": true' in drills_json([report()])
    assert '"passed": false' in drills_json([DrillReport.from_dict({**report().to_dict(), "outcome": "failed"})])


def test_names_of_drills_are_checked() -> None:
    assert named_drills(()) == named_drills(("all",)) == tuple(DRILLS.values())
    require_known(parse_schedule("cloud-hung, local-cut every Monday 09:00"))
    with pytest.raises(ConfigurationError, match="no drill 'cloud-hang'"):
        require_known(parse_schedule("cloud-hang every Monday 09:00"))
    with pytest.raises(ConfigurationError, match=r"HYBRID_DRILLS.*no time of day"):
        Settings(drill_schedule="every Monday")
    assert Settings(drill_schedule=" ; ").drill_schedule is None


# -- what a killed one leaves

PLAYS = """
import sys, threading
from hybrid.ops.drills.rig import Rig
from hybrid.settings import Settings
rig = Rig(Settings(local_url=sys.argv[1], cloud_url=sys.argv[2]), threading.Event())
rig.enrol()
rig.open_linked().rpush(rig.key("journal"), "1")
print(flush=True)
threading.Event().wait()
"""


@pytest.fixture
def killed(stores: Stores) -> None:
    """A drill in use of both stores ended by kill -9."""
    command = [sys.executable, "-c", PLAYS, stores.local.url, stores.cloud.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as drill:
        assert drill.stdout is not None
        drill.stdout.readline()
        drill.kill()


def traces(stores: Stores) -> list[bytes]:
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        return [key for connection in (local, cloud) for key in connection.keys("hybrid*drill*")]


@pytest.mark.usefixtures("killed")
def test_what_a_killed_drill_left_is_removed_once_it_is_surely_over(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(local_url=stores.local.url, cloud_url=stores.cloud.url)
    assert {key.split(b":")[0] for key in traces(stores)} == {b"hybrid", b"hybrid-drill"}
    Rig(settings, threading.Event()).enrol()
    assert traces(stores), "it may still run"
    monkeypatch.setattr(leftovers, "DEAD_S", -1.0)
    Rig(settings, threading.Event()).enrol()
    assert not traces(stores)


@pytest.mark.usefixtures("killed")
def test_the_active_agent_removes_it_too(stores: Stores, hybrid: HybridRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "DEAD_S", -1.0)
    active = SimpleNamespace(client=hybrid, is_active=True)
    watching = duty.DrillDuty(active, tick_s=0.01)  # type: ignore[arg-type]
    watching.start()
    wait_until(lambda: not traces(stores), "all of it is gone")
    watching.close()


# -- the duty


class Clock:
    def __init__(self) -> None:
        self.now = MONDAY - timedelta(minutes=5)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[DrillReport]:
    """What was played, instead of playing it; also the history."""
    found: list[DrillReport] = []

    def stub(drills: Any, settings: Settings, *, on_report: Any, slot_s: float, **_: Any) -> list[DrillReport]:
        reports = [report(drill.name, datetime.fromtimestamp(slot_s)) for drill in drills]
        for each in reports:
            on_report(each)
        return reports

    monkeypatch.setattr(duty, "run_drills", stub)
    monkeypatch.setattr(duty, "record_drill", lambda client, each: found.insert(0, each))
    monkeypatch.setattr(duty, "drill_history", lambda client: found)
    return found


def agent(schedule: str | None, *, touched: datetime | None = None) -> Any:
    document = Live() if touched is None else Live(touched={"drill_schedule": Touch(1, "ana", touched.timestamp())})
    live = SimpleNamespace(document=document)
    settings = Settings(local_url="redis://127.0.0.1:1", drill_schedule=schedule)
    return SimpleNamespace(client=SimpleNamespace(settings=settings, live=live), is_active=True)


def test_the_active_agent_runs_what_is_due_once(played: list[DrillReport]) -> None:
    clock, one = Clock(), agent("cloud-hung, local-cut every Monday 09:00")
    watching = duty.DrillDuty(one, now=clock)
    assert watching.look() == []
    assert watching.health()["drills"]["next_s"] == MONDAY.timestamp()
    clock.now = MONDAY
    assert [each.drill for each in watching.look()] == ["cloud-hung", "local-cut"]
    clock.now += timedelta(minutes=1)
    assert watching.look() == []


def test_one_that_stands_by_runs_nothing_and_repeats_nothing_when_it_takes_over(played: list[DrillReport]) -> None:
    clock, one = Clock(), agent("cloud-hung every Monday 09:00")
    watching = duty.DrillDuty(one, now=clock)
    one.is_active = False
    clock.now = MONDAY
    assert watching.look() == []
    played.append(report(slot=MONDAY))
    one.is_active = True
    clock.now += timedelta(minutes=1)
    assert watching.look() == []


def test_what_nobody_could_run_in_time_is_run_within_the_hour_and_not_later(played: list[DrillReport]) -> None:
    clock = Clock()
    for late, count in ((59, 1), (61, 0)):
        clock.now = MONDAY + timedelta(minutes=late)
        assert len(duty.DrillDuty(agent("cloud-hung every Monday 09:00"), now=clock).look()) == count
        played.clear()


def test_a_schedule_asks_for_nothing_before_it_was_set(played: list[DrillReport]) -> None:
    clock = Clock()
    clock.now = MONDAY + timedelta(minutes=10)
    new = agent("cloud-hung every Monday 09:00", touched=MONDAY + timedelta(minutes=5))
    assert duty.DrillDuty(new, now=clock).look() == []
    empty = agent(None)
    watching = duty.DrillDuty(empty, now=clock)
    assert watching.look() == [] and watching.health()["drills"]["next_s"] is None
    empty.client.settings = new.client.settings
    assert watching.look() == []


def test_a_drill_that_does_not_exist_stops_no_other(played: list[DrillReport]) -> None:
    clock, one = Clock(), agent("no-such every Monday 09:00; cloud-hung every Monday 09:00")
    watching = duty.DrillDuty(one, now=clock)
    watching.look()
    clock.now = MONDAY
    assert [each.drill for each in watching.look()] == ["cloud-hung"]


# -- the witness


def test_the_witness_tells_a_store_that_needs_its_whole_timeout(stores: Stores) -> None:
    timeouts_s = {Store.LOCAL: 30.0, Store.CLOUD: 0.05}
    witness = Witness(timeouts_s).start()
    urls = {Store.LOCAL: stores.local.url, Store.CLOUD: stores.cloud.url}
    witness.ask(lambda store: client(urls[store]))
    try:
        with client(stores.cloud.url) as cloud:
            wait_until(lambda: cloud.client_pause(100, all=True) and witness.busy, "word of a slow store")
        assert "50 ms" in witness.busy
    finally:
        witness.close()


def test_a_fault_of_the_drill_excuses_itself_only() -> None:
    lost = [StoreDown(at_s=5.0, store=Store.CLOUD, reason="timed out")]
    assert fallen_out(lost, (Store.CLOUD,), 0.0, None) == ""
    assert "nothing was done" in fallen_out(lost, (Store.LOCAL,), 0.0, None)
    assert "once more" in fallen_out(lost, (Store.CLOUD,), 0.0, healed_s=4.0)
    assert fallen_out(lost, (), since_s=6.0, healed_s=None) == ""
