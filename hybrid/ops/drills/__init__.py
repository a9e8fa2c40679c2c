"""Rehearsing failures: the run-test button, which tries everything once, and a library of drills.

Faults are injected at links of the drill's own, in front of a client of its own (`hybrid.ops.drills.rig`), or at
throwaway servers (`hybrid.ops.drills.stage`). What was confirmed meanwhile is held against the guarantees.
"""

from hybrid.core.guarantees import GUARANTEES, Finding, Judgement
from hybrid.core.schedule import next_slot, parse_schedule
from hybrid.ops.drills.drill import run_drill, run_drills
from hybrid.ops.drills.drill_report import DrillReport, Figures, Outcome, drills_json, drills_markdown
from hybrid.ops.drills.history import drill_history, record_drill
from hybrid.ops.drills.library import DRILLS, Drill, Fault, Where, named_drills, require_known, where_of
from hybrid.ops.drills.report import GROUPS, LatencyRow, Report, Step, StepState
from hybrid.ops.drills.run import STEP_COUNT, run_test

__all__ = [
    "DRILLS",
    "GROUPS",
    "GUARANTEES",
    "STEP_COUNT",
    "Drill",
    "DrillReport",
    "Fault",
    "Figures",
    "Finding",
    "Judgement",
    "LatencyRow",
    "Outcome",
    "Report",
    "Step",
    "StepState",
    "Where",
    "drill_history",
    "drills_json",
    "drills_markdown",
    "named_drills",
    "next_slot",
    "parse_schedule",
    "record_drill",
    "require_known",
    "run_drill",
    "run_drills",
    "run_test",
    "where_of",
]
