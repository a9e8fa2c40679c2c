"""Steering: presets, effective values with sources, `.env` with a preview, what the audit trail says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Pool, wait_until

from hybrid import HybridRedis
from hybrid.ops.control import PRESETS, Control, effective_changes
from hybrid.settings import ReadPreference, Settings
from hybrid.types import Source

SETTINGS = Settings(local_url="redis://127.0.0.1:1", cloud_url="redis://127.0.0.1:2")


@pytest.fixture
def control(server_pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    """Steers a client configured by a file and by the environment."""
    for name in ("REDIS_URL", "UPSTASH_REDIS_URL", "REDIS_READ_PREFERENCE"):
        monkeypatch.delenv(name, raising=False)
    env_file = tmp_path / ".env"
    env_file.write_text(f"REDIS_URL={server_pool.get('valkey', 'local').url}\nREDIS_READ_PREFERENCE=fastest # why\n")
    monkeypatch.setenv("REDIS_SYNC_INTERVAL", "77")
    with HybridRedis.from_env(env_file, cloud_timeout_s=3.0) as client:
        client.start()
        yield Control(client, env_file)


def test_presets_differ_as_the_guide_says() -> None:
    assert not SETTINGS.with_changes(**PRESETS["development"]).replicated
    assert SETTINGS.with_changes(**PRESETS["production"]).replicated
    assert SETTINGS.with_changes(**PRESETS["remote"]).read_preference is ReadPreference.CLOUD


def test_only_real_changes_are_shown() -> None:
    assert effective_changes(SETTINGS, {"write_both": True, "read_preference": "cloud"}) == {
        "read_preference": (ReadPreference.LOCAL, ReadPreference.CLOUD)
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_applied(control: Control, preset: str) -> None:
    control.change("ana", 0, **PRESETS[preset])
    found = {row.name: row for row in control.effective()}
    for name, value in PRESETS[preset].items():
        assert (found[name].value, found[name].source) == (value, Source.LIVE)


def test_every_value_has_its_source(control: Control) -> None:
    control.change("ana", ack="local", cloud_timeout_s=9)
    control.override("bob", for_s=600, log_level="warning")
    found = {row.name: row for row in control.effective()}
    assert {name: row.source for name, row in found.items() if row.source is not Source.DEFAULT} == {
        "local_url": Source.ENV_FILE,
        "read_preference": Source.ENV_FILE,
        "sync_interval_s": Source.ENVIRONMENT,
        "cloud_timeout_s": Source.ARGUMENT,
        "ack": Source.LIVE,
        "log_level": Source.OVERRIDE,
    }
    assert found["cloud_timeout_s"].value == 3.0
    assert found["log_level"].until_s is not None
    assert control.end_override("bob").changes == {"log_level": ("warning", None)}
    control.change("ana", ack=None)
    assert {row.name: row.source for row in control.effective()}["ack"] is Source.DEFAULT


def test_the_preview_is_what_is_written(control: Control, caplog: pytest.LogCaptureFixture) -> None:
    control.change("ana", read_preference="cloud")
    before = control._env_file.read_text()
    plan = control.env_plan()
    assert control._env_file.read_text() == before
    assert plan.diff.splitlines()[3:] == [
        "-REDIS_READ_PREFERENCE=fastest # why",
        "+REDIS_READ_PREFERENCE=cloud # why",
    ]
    with caplog.at_level(logging.INFO, "hybrid.control"):
        control.write_env("ana", plan)
    assert control._env_file.read_text() == before.replace("fastest", "cloud")
    assert control.env_plan().diff == ""
    assert "ana wrote REDIS_READ_PREFERENCE" in caplog.text
    assert [(line.author, line.what) for line in control.audit()] == [("ana", ".env"), ("ana", "set")]


def test_the_preview_hides_secrets(control: Control) -> None:
    plan = control.env_plan(cloud_url="rediss://default:hunter2@host:6379")
    assert "+UPSTASH_REDIS_URL=***" in plan.diff
    assert "hunter2" not in plan.diff + repr(plan)
    assert "hunter2" in plan.after


def test_the_audit_trail_is_newest_first_and_limited(control: Control) -> None:
    for number in range(1, 6):
        control.change("ana", number - 1, sync_interval_s=number)
    assert [line.version for line in control.audit(3)] == [5, 4, 3]
    assert control.audit(1)[0].changes == {"sync_interval_s": (4, 5)}
    wait_until(lambda: [process.config_version for process, _ in control.processes()] == [5])
