"""One switch steers four application processes under load; a store that is down meanwhile hears of it later."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rig import PATIENT, Rig
from servers import client, wait_until

from hybrid import HybridRedis, Store
from hybrid.core.live import Live
from hybrid.core.registry import Presence
from hybrid.ops.control import Control
from hybrid.stores.control import environment

NAMES = ("shop", "api", "jobs", "mail")
WORKER = Path(__file__).with_name("live_worker.py")
ENV = (
    "# stores\nREDIS_URL={local}\nUPSTASH_REDIS_URL={cloud}\n\nREDIS_READ_PREFERENCE='local'  # who answers\nOTHER=1\n"
)


class Application:
    """One application process."""

    def __init__(self, rig: Rig, name: str, **settings: str) -> None:
        stores = {"REDIS_URL": rig.local_url, "UPSTASH_REDIS_URL": rig.cloud_url}
        patience = {"REDIS_LOCAL_TIMEOUT": "2", "REDIS_CLOUD_TIMEOUT": "2"}
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment(), **stores, **patience, "HYBRID_NAME": name, **settings},
            text=True,
        )

    def ready(self) -> Application:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    @property
    def report(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate(timeout=20)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def start(rig: Rig) -> Iterator[Callable[..., list[Application]]]:
    """Start the applications: `start(**environment)`."""
    started: list[Application] = []

    def start_(**settings: str) -> list[Application]:
        applications = [Application(rig, name, **settings) for name in NAMES]
        started.extend(applications)
        return [application.ready() for application in applications]

    yield start_
    for application in started:
        application.kill()


def open_control(rig: Rig, folder: Path) -> tuple[HybridRedis, Control]:
    """A client as the panel has one, and what steers through it."""
    env_file = folder / ".env"
    env_file.write_text(ENV.format(local=rig.local_url, cloud=rig.cloud_url))
    steering = rig.client(name="panel", **PATIENT)
    return steering, Control(steering, env_file)


def reported(control: Control) -> dict[str, int]:
    """The version that each connected application has reported."""
    return {
        process.name: process.config_version
        for process, presence in control.processes()
        if presence is Presence.CONNECTED and process.name in NAMES
    }


def test_one_switch_reaches_four_processes(rig: Rig, start: Callable[..., list[Application]], tmp_path: Path) -> None:
    rig.link(Store.CLOUD, 0.02)
    applications = start()
    _, control = open_control(rig, tmp_path)
    wait_until(lambda: set(reported(control)) == set(NAMES), "all four are in the register")
    before = [application.report for application in applications]

    started_s = time.monotonic()
    changed = control.change("ana", 0, read_preference="cloud")
    wait_until(lambda: reported(control) == dict.fromkeys(NAMES, 1), "all four report version 1")
    print(f"reported by all after {time.monotonic() - started_s:.3f} s")

    assert (changed.version, changed.changes, changed.missed) == (1, {"read_preference": (None, "cloud")}, ())
    pairs = list(zip(applications, before, strict=True))
    wait_until(lambda: all(now.report["commands"] > then["commands"] + 50 for now, then in pairs), "they go on")
    for application in applications:
        report = application.report
        assert (report["version"], report["reads"], report["failed"]) == (1, "cloud", [])

    text = control._env_file.read_text()
    plan = control.env_plan()
    assert plan.diff.splitlines()[3:] == [
        "-REDIS_READ_PREFERENCE='local'  # who answers",
        "+REDIS_READ_PREFERENCE='cloud'  # who answers",
    ]
    control.write_env("ana", plan)
    assert control._env_file.read_text() == text.replace("'local'", "'cloud'")
    assert [(entry.author, entry.what) for entry in control.audit()] == [("ana", ".env"), ("ana", "set")]


@pytest.mark.parametrize("store", list(Store))
def test_a_store_that_is_down_while_it_is_changed(
    rig: Rig, start: Callable[..., list[Application]], tmp_path: Path, store: Store
) -> None:
    applications = start()
    steering, control = open_control(rig, tmp_path)
    control.change("ana", 0, sync_interval_s=60.0)
    server = rig.local if store is Store.LOCAL else rig.cloud
    server.kill()
    wait_until(lambda: not steering._engine.board.reachable(store), "the loss is seen")

    changed = control.change("bob", 1, read_preference="cloud")
    assert (changed.version, changed.missed) == (2, (store.value,))
    wait_until(lambda: all(application.report["version"] == 2 for application in applications), "all four run it")

    server.start()

    def record() -> Live:
        with client(server.url) as connection:
            return Live.parse(connection.get("hybrid:config"))

    wait_until(lambda: record().stamp == control.document.stamp, "the store that returned has it too")
    rig.wait_well(steering)
    with client(server.url) as connection:
        assert connection.xlen("hybrid:audit") == 2
    assert all(application.report["failed"] == [] for application in applications)


def test_dual_write_off_and_on_copies_everything_once(
    rig: Rig, start: Callable[..., list[Application]], tmp_path: Path
) -> None:
    rig.link(Store.CLOUD, 0.02)
    applications = start()
    steering, control = open_control(rig, tmp_path)
    control.change("ana", 0, write_both=False)
    wait_until(lambda: reported(control) == dict.fromkeys(NAMES, 1), "all four write to one store")
    before = [application.report["commands"] for application in applications]
    pairs = list(zip(applications, before, strict=True))
    wait_until(lambda: all(now.report["commands"] > then + 50 for now, then in pairs), "they go on")
    control.change("ana", 1, write_both=True)
    rig.wait_well(steering)
    wait_until(lambda: control.audit()[0].what == "equalized", "the copy is asked for")
    assert [entry.what for entry in control.audit()] == ["equalized", "set", "set"]
    reports = [application.report for application in applications]
    for application in applications:
        application.close()
    assert [report["failed"] for report in reports] == [[]] * 4
    rig.assert_healed(steering)
