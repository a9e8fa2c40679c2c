"""The library of drills on real servers: what they find, that they can fail, and that nobody else notices them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from servers import Stores, client, new_server

from hybrid.core.guarantees import Finding
from hybrid.errors import ConfigurationError
from hybrid.ops.drills import DRILLS, DrillReport, Outcome, Step, StepState, Where, run_drill, run_drills, where_of
from hybrid.ops.drills import rehearsal as rehearsal_module
from hybrid.ops.drills.drill import in_words
from hybrid.ops.drills.load import Load, Written
from hybrid.ops.drills.rig import Rig
from hybrid.ops.drills.witness import Witness
from hybrid.settings import Settings
from hybrid.types import Store

pytestmark = pytest.mark.alone

DATA = {"user:1": "ana", "hybrid:authority": "local 7", "hybrid:identity": "mark"}
PATIENT = {"local_timeout_s": 0.4, "cloud_timeout_s": 0.5}  # what is tested here is not how fast this machine is


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Two servers in use."""
    folder: Path = tmp_path_factory.mktemp("drills")
    stores = Stores(*(new_server("valkey", folder / name).start() for name in ("local", "cloud")))
    for server in (stores.local, stores.cloud):
        with client(server.url) as connection:
            connection.mset(DATA)
    yield stores
    stores.local.kill()
    stores.cloud.kill()


@pytest.fixture
def settings(pair: Stores) -> Settings:
    return Settings(local_url=pair.local.url, cloud_url=pair.cloud.url, **PATIENT)


@pytest.fixture(autouse=True)
def nobody_notices(pair: Stores) -> Iterator[None]:
    yield
    for server in (pair.local, pair.cloud):
        with client(server.url, decode_responses=True) as connection:
            assert set(connection.keys("*")) == set(DATA)
            assert connection.mget(DATA) == list(DATA.values())


def expect_passed(report: DrillReport) -> None:
    found = {each.guarantee: each for each in report.judgements if each.finding is not Finding.NOT_CHECKED}
    assert report.passed, (report.reason, report.steps)
    assert set(found) == set(DRILLS[report.drill].checks)
    assert {each.finding for each in found.values()} == {Finding.KEPT}
    assert report.figures.longest_stall_ms and report.figures.rto_s and report.figures.in_sync_s is not None


@pytest.mark.parametrize("name", ["cloud-slow", "local-cut", "lost-reply", "both-down", "failover-failback"])
def test_a_drill_on_stores_in_use(name: str, settings: Settings) -> None:
    told: list[Step] = []
    report = run_drill(DRILLS[name], settings, on_step=told.append)
    expect_passed(report)
    assert report.where is Where.STORES
    ended = [step for step in told if step.state is not StepState.RUNNING]
    assert tuple(ended[-len(report.steps) :]) == report.steps
    assert DrillReport.from_dict(report.to_dict()) == report
    if DRILLS[name].survivor:
        assert report.figures.rpo_writes == 0 and report.figures.detected_s is not None


def test_commands_that_no_store_could_serve_tell_nothing_of_how_long_others_stall(settings: Settings) -> None:
    report = run_drill(DRILLS["both-down"], settings)
    availability = next(each for each in report.judgements if each.guarantee == "G1")
    assert availability.finding is Finding.KEPT
    assert f"{report.figures.longest_stall_ms:.0f} ms" not in availability.reason


def test_a_wiped_store_is_wiped_for_real_elsewhere(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="destroys data"):
        run_drill(DRILLS["local-wiped"], settings, where=Where.STORES)
    report = run_drill(DRILLS["local-wiped"], settings)
    expect_passed(report)
    assert report.where is Where.SERVERS


def test_without_two_stores_a_drill_has_servers_of_its_own(pair: Stores) -> None:
    alone = Settings(local_url=pair.local.url)
    assert {where_of(drill, alone) for drill in DRILLS.values()} == {Where.SERVERS}
    apart = Settings(local_url=pair.local.url, cloud_url=pair.cloud.url, write_both=False)
    with pytest.raises(ConfigurationError, match="writes to both"):
        where_of(DRILLS["cloud-hung"], apart, Where.STORES)
    unix = Settings(local_url="unix:///tmp/redis.sock", cloud_url=pair.cloud.url)
    assert where_of(DRILLS["cloud-hung"], unix) is Where.SERVERS


def test_a_confirmed_write_that_vanishes_fails_the_drill(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drill is worth something only if it can fail; and no busy machine excuses this."""
    verify = rehearsal_module.verify

    def tampered(rig: Rig, load: Load, evidence: Any) -> None:
        for server in (settings.local_url, settings.cloud_url):
            with redis.Redis.from_url(str(server)) as connection:
                connection.delete(load.standing[0].key)
                connection.rpush(load.journal, *load.pushed)
        verify(rig, load, evidence)

    monkeypatch.setattr(rehearsal_module, "verify", tampered)
    monkeypatch.setattr(Witness, "busy", "the machine was busy")
    report = run_drill(DRILLS["cloud-cut"], settings)
    found = {each.guarantee: each.finding for each in report.judgements}
    assert report.outcome is Outcome.FAILED and report.attempts == 1
    assert found["G4"] is found["G7"] is Finding.BROKEN
    assert "w:" in report.reason


def test_what_is_deleted_while_the_survivor_is_asked_is_not_lacking(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application goes on meanwhile."""
    loads: list[Load] = []
    start, lacking = Load.start, rehearsal_module.lacking

    def started(load: Load) -> Load:
        loads.append(load)
        return start(load)

    def asked_late(rig: Rig, store: Store, writes: Sequence[Written]) -> list[Written]:
        loads[-1]._delete(writes[0].key)
        return lacking(rig, store, writes)

    monkeypatch.setattr(Load, "start", started)
    monkeypatch.setattr(rehearsal_module, "lacking", asked_late)
    report = run_drill(DRILLS["local-cut"], settings)
    expect_passed(report)
    assert report.figures.rpo_writes == 0


@pytest.mark.parametrize(
    ("busy", "outcome", "attempts"), [("", Outcome.FAILED, 1), ("no time for 300 ms", Outcome.INCONCLUSIVE, 2)]
)
def test_a_machine_too_busy_is_no_failure_and_gets_another_try(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, busy: str, outcome: Outcome, attempts: int
) -> None:
    def late(*_: object) -> str:
        raise rehearsal_module.Failed("noticing did not happen in time")

    monkeypatch.setattr(rehearsal_module.Rehearsal, "lose_one", late)
    monkeypatch.setattr(Rig, "fallen_out", lambda rig, since_s=0.0: "")
    monkeypatch.setattr(Witness, "busy", busy)
    report = run_drill(DRILLS["cloud-hung"], settings, attempts=2)
    assert (report.outcome, report.attempts) == (outcome, attempts)
    assert busy in report.reason
    assert {step.id: step.state for step in report.steps}["heal"] is StepState.SKIPPED


def test_cancelling_ends_the_drill_and_the_ones_after_it(settings: Settings) -> None:
    cancel = threading.Event()

    def at_the_fault(_drill: object, step: Step) -> None:
        if step.id == "during":
            cancel.set()

    drills = [DRILLS["cloud-hung"], DRILLS["local-hung"]]
    [report] = run_drills(drills, settings, on_step=at_the_fault, cancel=cancel, author="ana")
    assert report.outcome is Outcome.CANCELLED and report.author == "ana"
    assert {step.id: step.state for step in report.steps}["clean-up"] is StepState.PASSED


def test_the_whole_test_excuses_a_busy_machine_but_not_a_difference(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hybrid.ops.drills import commands, run

    monkeypatch.setattr(Rig, "excuse", lambda rig, since_s: "no time for 300 ms")
    rig = Rig(settings, threading.Event())
    late = replace(run.PLAN[0], replicated=True, action=raising(run.Failed("a call stalled")))
    lost = replace(late, action=raising(commands.Lost("2 keys differ")))
    untimed = replace(late, replicated=False)
    states = [run.outcome(spec, rig, run.Findings())[0] for spec in (late, lost, untimed)]
    assert states == [StepState.INCONCLUSIVE, StepState.FAILED, StepState.FAILED]


def test_with_a_store_down_already_a_drill_is_skipped_and_names_it(settings: Settings) -> None:
    report = run_drill(DRILLS["local-cut"], replace(settings, cloud_url="redis://127.0.0.1:1"))
    assert report.outcome is Outcome.SKIPPED
    assert {each.finding for each in report.judgements} == {Finding.NOT_CHECKED}
    assert report.reason == "The drill's client opens: the cloud store did not answer: connection refused."


def raising(error: Exception) -> Any:
    def action(*_: object) -> str:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (redis.ConnectionError("Error 111 connecting to 127.0.0.1:1. Connection refused."), "connection refused"),
        (redis.TimeoutError("Timeout reading from socket"), "no answer in time"),
    ],
)
def test_a_store_that_is_lost_under_a_drill_is_said_in_words(error: Exception, words: str) -> None:
    assert in_words(error) == f"a store was lost: {words}"
