"""The drills on real servers. One full run serves several tests: it takes a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from servers import Stores, client, new_server

from hybrid.ops.drills import STEP_COUNT, Report, Step, StepState, run_test
from hybrid.settings import Settings
from hybrid.stores.processes import ServerProcess

USERS = {"user:1": "ana", "user:2": "bia"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Two servers in use: they hold data of applications, and a pair's own keys."""
    folder: Path = tmp_path_factory.mktemp("drill")
    local, cloud = new_server("valkey", folder / "local").start(), new_server("valkey", folder / "cloud").start()
    for server in (local, cloud):
        with client(server.url) as connection:
            connection.mset({**USERS, "hybrid:authority": "local 7", "hybrid:identity": "mark"})
    with client(local.url) as connection:
        connection.set("only-here", "as it was")  # a difference that a drill must not touch
    yield Stores(local, cloud)
    local.kill()
    cloud.kill()


def keys_of(server: ServerProcess) -> set[str]:
    with client(server.url, decode_responses=True) as connection:
        return set(connection.keys("*"))


@pytest.fixture(scope="module")
def told() -> list[Step]:
    return []


@pytest.fixture(scope="module")
def full_run(pair: Stores, told: list[Step]) -> Report:
    patient = {"local_timeout_s": 0.4, "cloud_timeout_s": 0.5}  # a busy machine would make some steps inconclusive
    settings = Settings(local_url=pair.local.url, cloud_url=pair.cloud.url, **patient)
    return run_test(settings, on_step=told.append)


@pytest.mark.slow
def test_every_step_passes_on_two_healthy_stores(full_run: Report) -> None:
    failed = [(step.id, step.detail) for step in full_run.steps if step.state is not StepState.PASSED]
    assert failed == []
    assert full_run.passed
    assert len(full_run.steps) == STEP_COUNT


@pytest.mark.slow
def test_it_measures_stalls_recovery_and_speed(full_run: Report) -> None:
    faults = {"local refused", "local hung", "cloud refused", "cloud hung"}
    assert set(full_run.longest_stall_ms) == faults
    assert set(full_run.recovery_s) == faults | {"both down"}
    assert {row.store for row in full_run.latency} == {"local", "cloud", "client"}
    assert all(0 < row.p50_ms <= row.p95_ms <= row.p99_ms and row.count > 0 for row in full_run.latency)


@pytest.mark.slow
def test_each_step_is_told_as_it_starts_and_ends(full_run: Report, told: list[Step]) -> None:
    assert [step.id for step in told[::2]] == [step.id for step in told[1::2]]
    assert all(step.state is StepState.RUNNING for step in told[::2])
    assert tuple(told[1::2]) == full_run.steps


@pytest.mark.slow
def test_data_in_use_and_the_real_authority_are_untouched(full_run: Report, pair: Stores) -> None:
    assert keys_of(pair.local) == {*USERS, "hybrid:authority", "hybrid:identity", "only-here"}
    assert keys_of(pair.cloud) == {*USERS, "hybrid:authority", "hybrid:identity"}
    with client(pair.cloud.url, decode_responses=True) as connection:
        assert connection.get("hybrid:authority") == "local 7"


def test_cancelling_ends_the_run_and_leaves_nothing(pair: Stores) -> None:
    before = (keys_of(pair.local), keys_of(pair.cloud))
    cancel = threading.Event()

    def cancel_in_the_middle(step: Step) -> None:
        if step.id == "fail-local refused":
            cancel.set()

    report = run_test(
        Settings(local_url=pair.local.url, cloud_url=pair.cloud.url), on_step=cancel_in_the_middle, cancel=cancel
    )
    assert report.cancelled and not report.passed
    states = {step.id: step.state for step in report.steps}
    assert states["compare"] is StepState.PASSED
    assert states["speed-client"] is StepState.SKIPPED
    assert states["clean-up"] is StepState.PASSED
    assert (keys_of(pair.local), keys_of(pair.cloud)) == before


def test_without_a_cloud_its_steps_are_skipped_and_the_rest_passes(pair: Stores) -> None:
    report = run_test(Settings(local_url=pair.local.url))
    assert report.passed
    skipped = {step.id: step.detail for step in report.steps if step.state is StepState.SKIPPED}
    assert {"status-cloud", "compare", "fail-local refused", "speed-cloud"} <= set(skipped)
    assert all("UPSTASH_REDIS_URL" in detail for detail in skipped.values())
    assert {step.id for step in report.steps if step.state is StepState.PASSED} >= {"hash", "stream", "speed-client"}


def test_a_dead_store_is_a_failed_step_with_its_reason_and_no_exception(pair: Stores) -> None:
    report = run_test(Settings(local_url=pair.local.url, cloud_url="redis://127.0.0.1:1"))
    failed = {step.id: step.detail for step in report.steps if step.state is StepState.FAILED}
    assert {"status-cloud", "write-cloud", "open"} <= set(failed)
    assert failed["status-cloud"] == failed["write-cloud"] == "a store was lost: connection refused"
    assert failed["clean-up"].endswith("remain: cloud: connection refused")
    assert not report.passed


def test_a_listener_that_fails_does_not_stop_the_run(pair: Stores) -> None:
    def broken(step: Step) -> None:
        raise RuntimeError("the page is gone")

    cancel = threading.Event()
    cancel.set()
    assert len(run_test(Settings(local_url=pair.local.url), on_step=broken, cancel=cancel).steps) == STEP_COUNT


def test_a_difference_between_the_stores_fails_the_step(pair: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is worth something only if it can fail: one store is changed behind the client's back."""
    from hybrid.ops.drills import commands

    compare = commands.expect_equal

    def tampered(rig: object, keys: list[str]) -> str:
        with redis.Redis.from_url(pair.cloud.url) as cloud:
            cloud.hset(next(key for key in keys if key.endswith("type:hash")), "name", "other")
        return compare(rig, keys)  # type: ignore[arg-type]

    monkeypatch.setattr(commands, "expect_equal", tampered)
    cancel = threading.Event()

    def stop_after_compare(step: Step) -> None:
        if step.id == "compare" and step.state is not StepState.RUNNING:
            cancel.set()

    settings = Settings(local_url=pair.local.url, cloud_url=pair.cloud.url)
    report = run_test(settings, on_step=stop_after_compare, cancel=cancel)
    [step] = [step for step in report.steps if step.id == "compare"]
    assert step.state is StepState.FAILED and "type:hash" in step.detail
