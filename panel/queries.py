"""Every read that the pages do. Nothing here asks a store: the observer did, and its last snapshot is returned at once.

Pages and widgets take the library's types from here too, so that the rest of the panel does not import the library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hybrid.errors import HybridError
from hybrid.events import Event
from hybrid.observe.endpoint import Reply, json_reply
from hybrid.observe.routes import Probe, metrics_route
from hybrid.observe.routes import probes as agent_probes
from hybrid.ops.control import LIVE, PRESETS, AuditEntry, EnvPlan, Live, Presence, Process
from hybrid.ops.demo_process import CLOUD_COMMANDS_PER_S as DEMO_COMMANDS_PER_S
from hybrid.ops.diff.export import defused
from hybrid.ops.drills import GROUPS, STEP_COUNT, LatencyRow, Report, Step, StepState
from hybrid.ops.overview import Overview, Sample, StoreFacts
from hybrid.settings import Ack, ReadPreference, Settings, masked_url
from hybrid.types import Health, Status, Store, StoreState, StoreStatus
from panel.jobs import Job, JobState, Progress
from panel.process import process

__all__ = [
    "DEMO_COMMANDS_PER_S",
    "GROUPS",
    "LIVE",
    "PRESETS",
    "PROBE_PATHS",
    "STEP_COUNT",
    "Ack",
    "AuditEntry",
    "EnvPlan",
    "Event",
    "Health",
    "HybridError",
    "Job",
    "JobState",
    "LatencyRow",
    "Live",
    "Overview",
    "Presence",
    "Process",
    "Progress",
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
    "audit",
    "defused",
    "demo_running",
    "env_plan",
    "inquire",
    "introduced",
    "jobs",
    "live",
    "masked_url",
    "metrics",
    "overview",
    "patience_s",
    "probes",
    "processes",
    "retry_reads",
    "setting_rows",
    "sign_in_way",
    "start_problem",
    "test_runs",
]

TEST_JOB = "run test"
SILENT_PATIENCE_S = 0.05
PROBE_PATHS = ("/api/health", "/api/health/live", "/api/health/ready")


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


def patience_s(store: Store, usual_s: float) -> float:
    """How long a page waits for what this store is asked: hardly at all while it is known that it does not answer."""
    snapshot = overview()
    facts = None if snapshot is None else snapshot.local if store is Store.LOCAL else snapshot.cloud
    silent = facts is not None and facts.status.state in (StoreState.DOWN, StoreState.UNKNOWN)
    return min(usual_s, SILENT_PATIENCE_S) if silent else usual_s


def probes() -> dict[str, Probe]:
    """The answers to health probes by path. Says no reason when nothing runs: they need no sign-in."""
    agent = process().agent
    return dict.fromkeys(PROBE_PATHS, _nothing_runs) if agent is None else agent_probes(agent)


def inquire() -> None:
    """Somebody wants to know how the stores are: one of which nothing was heard lately is asked, in the background."""
    if (agent := process().agent) is not None:
        agent.inquire()


def retry_reads() -> None:
    """Stores come and go: what could not be read is asked for again at the next look."""
    process().reads.retry()


def _nothing_runs() -> tuple[int, dict[str, Any]]:
    return 503, {"status": "down", "stores": None}


def metrics() -> Reply:
    """What Prometheus reads."""
    agent = process().agent
    return json_reply(*_nothing_runs()) if agent is None else metrics_route(agent)


def demo_running() -> bool:
    return process().demo.running


def introduced() -> bool:
    """Whether somebody has read the first-run explanation and put it away."""
    return process().introduced


def sign_in_way(user: str) -> str:
    """How this person came in: by "provider", "password" or "link"."""
    access = process().access
    if access is None or not access.config.asks_who:
        return "link"
    return "provider" if access.config.sign_in_elsewhere and "@" in user else "password"


def test_runs() -> tuple[Job, ...]:
    """The test runs of this process, newest first."""
    return process().jobs.of(TEST_JOB)


def jobs(*kinds: str) -> tuple[Job, ...]:
    """The background jobs of this process, newest first; of these kinds only, if any are named."""
    return process().jobs.of(*kinds)


def setting_rows(snapshot: Overview) -> tuple[SettingRow, ...]:
    """Every setting in force in the panel's client, with where its value comes from."""
    control = process().control
    if control is None:
        return ()
    embedded = ("local_url", "cloud_url") if snapshot.embedded else ()
    return tuple(
        SettingRow(row.name, row.variable, row.value, "embedded" if row.name in embedded else str(row.source))
        for row in control.effective()
    )


def live() -> Live:
    """The live configuration; version 0 while nothing was ever changed live."""
    control = process().control
    return Live() if control is None else control.document


def processes() -> tuple[tuple[Process, Presence], ...]:
    """Who uses these stores. Asks the local store, and the cloud only while that one is down."""
    control = process().control
    return () if control is None else control.processes()


def audit(limit: int = 20) -> tuple[AuditEntry, ...] | None:
    """Who changed what, newest first; None while no store answers."""
    control = process().control
    try:
        return None if control is None else control.audit(limit)
    except HybridError:
        return None


def env_plan() -> EnvPlan | None:
    """What writing the live values to `.env` would change; None when nothing would, or the file cannot be read."""
    control = process().control
    try:
        plan = None if control is None else control.env_plan()
    except HybridError:
        return None
    return plan if plan is not None and plan.diff else None
