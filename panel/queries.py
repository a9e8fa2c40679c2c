"""Every read that the pages do. Nothing here asks a store: the observer did, and its last snapshot is returned at once.

Pages and widgets take the library's types from here too, so that the rest of the panel does not import the library.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from hybrid.errors import HybridError
from hybrid.events import Event
from hybrid.observe.health import health_document
from hybrid.ops.control import PRESETS
from hybrid.ops.drills import GROUPS, STEP_COUNT, LatencyRow, Report, Step, StepState
from hybrid.ops.overview import Overview, Sample, StoreFacts
from hybrid.settings import Ack, ReadPreference, Settings, masked_url
from hybrid.types import Health, Status, Store, StoreState, StoreStatus
from panel.jobs import Job, JobState
from panel.process import process

__all__ = [
    "GROUPS",
    "PRESETS",
    "STEP_COUNT",
    "Ack",
    "Event",
    "Health",
    "HybridError",
    "Job",
    "JobState",
    "LatencyRow",
    "Overview",
    "ReadPreference",
    "Report",
    "Sample",
    "SettingRow",
    "Settings",
    "Status",
    "Step",
    "StepState",
    "Store",
    "StoreFacts",
    "StoreState",
    "StoreStatus",
    "demo_running",
    "health",
    "introduced",
    "masked_url",
    "overview",
    "password_set",
    "setting_rows",
    "start_problem",
    "test_runs",
]

TEST_JOB = "run test"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One effective setting, fit to be shown: credentials are masked."""

    name: str
    variable: str
    value: Any
    source: str


def overview() -> Overview | None:
    """The latest snapshot of both stores; None while the panel's agent is still starting."""
    agent = process().agent
    return None if agent is None else agent.observer.overview()


def start_problem() -> str | None:
    """The sentence that says why the agent could not start; None when it runs."""
    return process().problem


def health() -> tuple[int, dict[str, Any]]:
    """HTTP status and body of /api/health. Says no reason when nothing runs: the route needs no sign-in."""
    snapshot = overview()
    return (503, {"status": "down", "stores": None}) if snapshot is None else health_document(snapshot)


def demo_running() -> bool:
    return process().demo.running


def introduced() -> bool:
    """Whether somebody has read the first-run explanation and put it away."""
    return process().introduced


def password_set() -> bool:
    access = process().access
    return access is not None and access.config.stored_hash is not None


def test_runs() -> tuple[Job, ...]:
    """The test runs of this process, newest first."""
    return process().jobs.of(TEST_JOB)


def setting_rows(snapshot: Overview, env_file: Path = Path(".env")) -> tuple[SettingRow, ...]:
    """Every effective setting with where its value comes from."""
    started_with = process().started_with or snapshot.settings
    written = dotenv_values(env_file) if env_file.is_file() else {}
    shown = snapshot.settings.masked()
    rows = []
    for field in fields(Settings):
        variable = field.metadata["variable"]
        changed = getattr(snapshot.settings, field.name) != getattr(started_with, field.name)
        embedded = snapshot.embedded and field.name in ("local_url", "cloud_url")
        source = (
            "changed here" if changed else
            "environment" if os.environ.get(variable, "").strip() else
            ".env" if (written.get(variable) or "").strip() else
            "embedded" if embedded else
            "default"
        )  # fmt: skip
        rows.append(SettingRow(field.name, variable, shown[field.name], source))
    return tuple(rows)
