"""What a run of the test found: steps, latencies, stalls and recovery times, as JSON or Markdown."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

__all__ = ["GROUPS", "LatencyRow", "Report", "Step", "StepState"]

GROUPS = ("Status", "Health", "Commands", "Failover", "Recovery", "Performance")


class StepState(StrEnum):
    """How a step stands. INCONCLUSIVE: it failed on a machine too busy to judge by."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the test. `detail` says in plain words what was found, or why it failed or was skipped."""

    id: str
    group: str
    name: str
    state: StepState
    detail: str
    duration_ms: float | None


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """How long `count` calls of one operation took, through the client (`store` is "client") or on one store."""

    operation: str
    store: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """The whole run, in Unix times. `longest_stall_ms` and `recovery_s` are by fault, such as "local refused"."""

    started_at_s: float
    finished_at_s: float
    steps: tuple[Step, ...]
    latency: tuple[LatencyRow, ...]
    longest_stall_ms: dict[str, float]
    recovery_s: dict[str, float]
    cancelled: bool

    @property
    def passed(self) -> bool:
        """Whether the run is complete, and no step failed or was inconclusive. A skipped step does not fail it."""
        return not (self.cancelled or self.count(StepState.FAILED) or self.count(StepState.INCONCLUSIVE))

    @property
    def inconclusive(self) -> bool:
        """Whether nothing failed, and the machine was too busy to judge some step."""
        return not (self.cancelled or self.count(StepState.FAILED)) and self.count(StepState.INCONCLUSIVE) > 0

    def count(self, state: StepState) -> int:
        return sum(step.state is state for step in self.steps)

    @property
    def verdict(self) -> str:
        """One line: the outcome and how many steps ended how."""
        ends = {"cancelled": self.cancelled, "passed": self.passed, "inconclusive": self.inconclusive}
        outcome = next((end for end, holds in ends.items() if holds), "failed")
        states = [StepState.PASSED, StepState.FAILED, StepState.SKIPPED]
        if self.count(StepState.INCONCLUSIVE):
            states.insert(2, StepState.INCONCLUSIVE)
        counts = [f"{self.count(state)} {state}" for state in states]
        return f"{outcome}: {', '.join(counts)} in {self.finished_at_s - self.started_at_s:.1f} s"

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "passed": self.passed}, indent=2)

    def to_markdown(self) -> str:
        """The report as a page to keep or to send."""
        started = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(self.started_at_s))
        lines = ["# Hybrid Redis test", "", f"{started}. {self.verdict[0].upper()}{self.verdict[1:]}."]
        for group in GROUPS:
            steps = [step for step in self.steps if step.group == group]
            if steps:
                lines += ["", f"## {group}", "", *table(("step", "result", "time", "detail"), map(step_row, steps))]
        if self.latency:
            lines += ["", "## Latency", "", *table(LATENCY_HEAD, map(latency_row, self.latency))]
        lines += measures("Longest stall of a call (ms)", self.longest_stall_ms)
        lines += measures("Recovery time (s)", self.recovery_s)
        return "\n".join(lines) + "\n"


LATENCY_HEAD = ("operation", "store", "count", "p50 ms", "p95 ms", "p99 ms")


def step_row(step: Step) -> tuple[str, ...]:
    took = "" if step.duration_ms is None else f"{step.duration_ms:.0f} ms"
    return step.name, step.state.value, took, step.detail


def latency_row(row: LatencyRow) -> tuple[str, ...]:
    return row.operation, row.store, str(row.count), f"{row.p50_ms:.2f}", f"{row.p95_ms:.2f}", f"{row.p99_ms:.2f}"


def measures(title: str, values: dict[str, float]) -> list[str]:
    if not values:
        return []
    return [
        "",
        f"## {title}",
        "",
        *table(("fault", "value"), [(name, f"{value:.2f}") for name, value in values.items()]),
    ]


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    cells = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in cells]
