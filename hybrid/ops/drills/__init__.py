"""The run-test button: both stores, every type, failover and return, degraded mode, speed.

Faults are injected at links of the drill's own, in front of a client of its own; see `hybrid.ops.drills.rig`.
"""

from hybrid.ops.drills.report import GROUPS, LatencyRow, Report, Step, StepState
from hybrid.ops.drills.run import STEP_COUNT, run_test

__all__ = ["GROUPS", "STEP_COUNT", "LatencyRow", "Report", "Step", "StepState", "run_test"]
