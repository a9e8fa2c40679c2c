"""What one drill found: steps, figures and a judgement per guarantee; as JSON to keep, as Markdown to send."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from hybrid.core.guarantees import GUARANTEES, Finding, Judgement
from hybrid.ops.drills.library import DRILLS, Where
from hybrid.ops.drills.report import Step, StepState, step_row, table

__all__ = ["DrillReport", "Figures", "Outcome", "drills_json", "drills_markdown"]


class Outcome(StrEnum):
    """How a drill ended. INCONCLUSIVE: the machine was too busy to judge; nothing that was lost is excused by it."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; None is unknown. RTO: the longest time without a confirmed write, from the fault on (with both
    stores down: from their return on). RPO: confirmed writes that the surviving store lacked when it took over.
    `stalled` commands took longer than the longer timeout."""

    detected_s: float | None = None
    rto_s: float | None = None
    rpo_writes: int | None = None
    in_sync_s: float | None = None
    commands: int = 0
    failed: int = 0
    unknown: int = 0
    stalled: int = 0
    longest_stall_ms: float | None = None
    cloud_commands: int | None = None


@dataclass(frozen=True, slots=True)
class DrillReport:
    """One run of one drill, in Unix times. `reason` says in a line how it ended; `slot` is the moment of the schedule
    that asked for it (Unix time), `author` who did."""

    drill: str
    where: Where
    started_at_s: float
    finished_at_s: float
    outcome: Outcome
    reason: str
    figures: Figures
    judgements: tuple[Judgement, ...]
    steps: tuple[Step, ...]
    attempts: int = 1
    author: str = ""
    slot_s: float | None = None

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED

    @property
    def title(self) -> str:
        drill = DRILLS.get(self.drill)
        return drill.title if drill else self.drill

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> DrillReport:
        """What `to_dict` gave. Raises KeyError, TypeError or ValueError for anything else."""
        fields = {name: value for name, value in document.items() if name != "passed"}
        return cls(
            **{
                **fields,
                "where": Where(fields["where"]),
                "outcome": Outcome(fields["outcome"]),
                "figures": Figures(**fields["figures"]),
                "judgements": tuple(
                    Judgement(**{**each, "finding": Finding(each["finding"])}) for each in fields["judgements"]
                ),
                "steps": tuple(Step(**{**each, "state": StepState(each["state"])}) for each in fields["steps"]),
            }
        )

    def to_markdown(self) -> str:
        """The report as a page to keep or to send."""
        return "\n".join(["# Hybrid Redis drill", *self.section()]) + "\n"

    def section(self) -> list[str]:
        """Its part of a page: verdict, figures, guarantees, steps."""
        started = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(self.started_at_s))
        took_s = self.finished_at_s - self.started_at_s
        by = f", asked for by {self.author}" if self.author else ""
        tries = f", attempt {self.attempts}" if self.attempts > 1 else ""
        return [
            "",
            f"## {self.title}: {self.outcome}",
            "",
            f"{started}, {took_s:.1f} s on {PLACES[self.where]}{by}{tries}. {self.reason}",
            "",
            *table(("measured", "value"), figure_rows(self.figures, self.drill)),
            "",
            *table(("guarantee", "", "verdict", "why"), map(judgement_row, self.judgements)),
            "",
            *table(("step", "result", "time", "detail"), map(step_row, self.steps)),
        ]


PLACES = {Where.STORES: "the stores in use", Where.SERVERS: "throwaway servers"}


def drills_json(reports: Sequence[DrillReport]) -> str:
    """Several drills as one document."""
    passed = all(report.passed for report in reports)
    return json.dumps({"passed": passed, "drills": [report.to_dict() for report in reports]}, indent=2)


def drills_markdown(reports: Sequence[DrillReport]) -> str:
    """Several drills as one page, with a table of all at its head."""
    rows = [
        (report.title, report.outcome.value, *(value for _, value in figure_rows(report.figures, report.drill)[:4]))
        for report in reports
    ]
    head = ("drill", "outcome", *(name for name, _ in figure_rows(Figures())[:4]))
    lines = ["# Hybrid Redis drills", "", *table(head, rows)]
    for report in reports:
        lines += report.section()
    return "\n".join(lines) + "\n"


def figure_rows(figures: Figures, drill: str = "") -> list[tuple[str, str]]:
    """What was measured, in words; a dash for the RPO of a drill in which no store has to take over."""
    played = DRILLS.get(drill)
    alone = played is not None and played.survivor is None
    return [
        ("RTO (longest time without a confirmed write)", seconds(figures.rto_s)),
        ("RPO (confirmed writes that the surviving store lacked)", "–" if alone else count(figures.rpo_writes)),
        ("in sync after", seconds(figures.in_sync_s)),
        ("longest stall", "unknown" if figures.longest_stall_ms is None else f"{figures.longest_stall_ms:.0f} ms"),
        ("noticed after", seconds(figures.detected_s)),
        ("commands", count(figures.commands)),
        ("failed", count(figures.failed)),
        ("of unknown outcome", count(figures.unknown)),
        ("stalled", count(figures.stalled)),
        ("commands on the cloud store", count(figures.cloud_commands)),
    ]


def seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} s"


def count(value: int | None) -> str:
    return "unknown" if value is None else str(value)


def judgement_row(judgement: Judgement) -> tuple[str, ...]:
    return judgement.guarantee, GUARANTEES[judgement.guarantee], judgement.finding.value, judgement.reason
