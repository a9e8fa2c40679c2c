"""The commands as their users run them: processes with output, signals and exit codes, on real servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ops.fakes import FakeClient, status
from servers import Stores, client, wait_until

from hybrid.cli.status import described
from hybrid.ops.overview import Observer
from hybrid.settings import Settings
from hybrid.types import StoreState

Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def hybrid(tmp_path: Path, stores: Stores) -> Iterator[Run]:
    """Start `python -m hybrid ...` on two real servers; ended with the test."""
    env_file = tmp_path / "test.env"
    env_file.write_text(f"REDIS_URL={stores.local.url}\nUPSTASH_REDIS_URL={stores.cloud.url}\n")
    environment = {name: value for name, value in os.environ.items() if "REDIS" not in name}
    started: list[subprocess.Popen[str]] = []

    def start(command: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "hybrid", command, "--env-file", str(env_file), *arguments],
            env=environment | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it says from here to its end, on both outputs; `communicate` passes by what `first_line` has buffered."""
    assert process.stdout is not None and process.stderr is not None
    output, errors = process.stdout.read(), process.stderr.read()
    process.wait(timeout=30)
    return output, errors


def test_status_of_two_healthy_stores(hybrid: Run) -> None:
    process = hybrid("status")
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert output.startswith("healthy: the local store takes writes")
    assert "cloud" in output and "unknown" not in output


def test_status_as_json_is_the_health_document(hybrid: Run) -> None:
    process = hybrid("status", "--json")
    document = json.loads(process.communicate(timeout=30)[0])
    assert process.returncode == 0
    assert document["status"] == "healthy"
    assert document["stores"]["cloud"]["state"] == "up"


@pytest.mark.parametrize(
    ("shipper", "cloud", "told"),
    [(None, StoreState.UP, ", nobody ships them"), ("shop", StoreState.UP, ""), (None, StoreState.DOWN, "")],
)
def test_status_tells_that_nobody_ships(shipper: str | None, cloud: StoreState, told: str) -> None:
    reported = replace(status(cloud=cloud), lag_entries=20, lag_s=30.0, shipper=shipper)
    settings = Settings(cloud_url="redis://127.0.0.1:2")
    lines = described(Observer(FakeClient(settings, reported)).overview())
    assert f"to ship: 20 entries (30.0 s behind{told}), conflicts: 0" in lines


def test_status_exit_codes_follow_the_stores(hybrid: Run, stores: Stores) -> None:
    stores.cloud.kill()
    process = hybrid("status")
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (1, "")
    assert "degraded" in output and "down" in output
    stores.local.kill()
    process = hybrid("status")
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (3, "")


def test_the_demo_runs_for_its_time_without_errors(hybrid: Run, stores: Stores) -> None:
    process = hybrid("demo", "--seconds", "1.5", "--rate", "40", "--seed", "1")
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert "errors 0" in output.splitlines()[-1]
    with client(stores.cloud.url) as cloud:
        assert cloud.keys("shop:*")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_the_demo_ends_cleanly_at_a_signal(hybrid: Run, number: int, code: int) -> None:
    process = hybrid("demo")
    first_line(process)
    process.send_signal(number)
    _, errors = ended(process)
    assert (process.returncode, errors) == (code, "")


def test_the_test_ended_by_ctrl_c_cleans_up(hybrid: Run, stores: Stores) -> None:
    process = hybrid("test")
    first_line(process)
    process.send_signal(signal.SIGINT)
    output, errors = ended(process)
    assert (process.returncode, errors) == (130, "")
    assert "cancelled" in output.splitlines()[-1]
    for server in (stores.local, stores.cloud):
        with client(server.url) as connection:
            assert connection.keys("*drill*") == []


def test_the_agent_serves_health_says_events_and_ends_at_sigterm(hybrid: Run, stores: Stores, free_port: int) -> None:
    process = hybrid("agent", "--json", "--listen", str(free_port))
    first = first_line(process)
    url = f"http://127.0.0.1:{free_port}/api/health"
    wait_until(lambda: fetched(url), "the health endpoint")
    assert fetched(url)["status"] in ("healthy", "degraded")
    process.send_signal(signal.SIGTERM)
    output, errors = ended(process)
    assert (process.returncode, errors) == (0, "")
    events = [json.loads(line) for line in [first, *output.splitlines()]]
    assert {"Started", "Stopped"} <= {event["event"] for event in events}
    assert all(event["message"] and event["at_s"] > 0 for event in events)


@pytest.fixture
def free_port() -> int:
    from hybrid.stores import ports

    return ports.free_port()


def fetched(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=5.0) as response:
            return json.load(response)
    except OSError:
        return None


def test_the_proxy_serves_says_events_and_ends_at_sigterm(hybrid: Run, stores: Stores) -> None:
    process = hybrid("proxy", "--port", "0", "--json")
    lines = [json.loads(first_line(process))]
    while lines[-1]["event"] != "Listening":
        lines.append(json.loads(first_line(process)))
    with client(lines[-1]["url"]) as r:
        assert r.set("k", "v") and r.get("k") == b"v"
    process.send_signal(signal.SIGTERM)
    output, errors = ended(process)
    assert process.returncode == 0, errors
    assert {"Started", "Stopped"} <= {json.loads(line)["event"] for line in output.splitlines()} | {
        line["event"] for line in lines
    }
    with client(stores.cloud.url) as cloud:
        assert cloud.get("k") == b"v"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--host", "0.0.0.0"), "0.0.0.0 can be reached from other machines: give a password"),
        (("--password-env", "NO_SUCH_VARIABLE"), "--password-env names NO_SUCH_VARIABLE"),
    ],
)
def test_the_proxy_refuses_to_serve_everybody(hybrid: Run, arguments: tuple[str, ...], words: str) -> None:
    process = hybrid("proxy", "--port", "0", *arguments)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert errors.startswith(f"hybrid: {words}") and errors.count("\n") == 1
