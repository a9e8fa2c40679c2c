"""Runs every step of the test in order, reports each as it starts and ends, and cleans up whatever happens."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import redis

from hybrid.errors import HybridError
from hybrid.ops.drills.checks import HEALTH, STATUS
from hybrid.ops.drills.commands import COMMANDS
from hybrid.ops.drills.drill import in_words
from hybrid.ops.drills.failover import BOTH_DOWN, FAILOVER
from hybrid.ops.drills.performance import PERFORMANCE
from hybrid.ops.drills.plan import Findings, Spec
from hybrid.ops.drills.report import Report, Step, StepState
from hybrid.ops.drills.rig import Cancelled, Failed, Lost, Rig, Skipped
from hybrid.settings import Settings

__all__ = ["PLAN", "STEP_COUNT", "run_test"]

logger = logging.getLogger("hybrid.drills")

PLAN: tuple[Spec, ...] = (*STATUS, *HEALTH, *COMMANDS, *FAILOVER, *BOTH_DOWN, *PERFORMANCE)
CANCELLED = "cancelled"
STEP_COUNT = len(PLAN) + 1
"""Steps that a run reports, for a progress bar: the plan, and the removal of its keys."""


def run_test(
    settings: Settings,
    *,
    on_step: Callable[[Step], None] = lambda step: None,
    cancel: threading.Event | None = None,
) -> Report:
    """Test both stores of `settings` end to end, without touching their processes or the data of applications.

    `on_step` hears of every step as it starts (RUNNING) and ends. Setting `cancel` ends the run within moments; the
    remaining steps are reported as SKIPPED. Probe keys are removed in any case. No failure of a step is raised.
    """
    started_at_s = time.time()
    findings = Findings()
    on_step = guarded(on_step)
    rig = Rig(settings, cancel or threading.Event())
    steps: list[Step] = []
    try:
        rig.enrol()
        steps.extend(run_step(spec, rig, findings, on_step) for spec in PLAN)
    finally:
        steps.append(clean_up(rig, on_step))
    return Report(
        started_at_s,
        time.time(),
        tuple(steps),
        tuple(findings.latency),
        findings.longest_stall_ms,
        findings.recovery_s,
        any(step.detail == CANCELLED for step in steps),
    )


def guarded(on_step: Callable[[Step], None]) -> Callable[[Step], None]:
    """Whoever listens may fail; the run and its cleaning up go on."""

    def tell(step: Step) -> None:
        try:
            on_step(step)
        except Exception:
            logger.exception("a listener failed on step %s", step.id)

    return tell


def run_step(spec: Spec, rig: Rig, findings: Findings, on_step: Callable[[Step], None]) -> Step:
    started = time.perf_counter()

    def report(state: StepState, detail: str, duration_ms: float | None = None) -> Step:
        step = Step(spec.id, spec.group, spec.name, state, detail, duration_ms)
        on_step(step)
        return step

    if rig.cancel.is_set():
        return report(StepState.SKIPPED, CANCELLED)
    if missing := spec.missing(rig):
        return report(StepState.SKIPPED, missing)
    report(StepState.RUNNING, "")
    rig.witness.reset()
    state, detail = outcome(spec, rig, findings)
    return report(state, detail, (time.perf_counter() - started) * 1000)


def outcome(spec: Spec, rig: Rig, findings: Findings) -> tuple[StepState, str]:
    began_s = time.time()
    try:
        return StepState.PASSED, spec.action(rig, findings)
    except Cancelled:
        return StepState.SKIPPED, CANCELLED
    except Skipped as reason:
        return StepState.SKIPPED, str(reason)
    except Lost as loss:
        return StepState.FAILED, str(loss)
    except (Failed, HybridError) as failure:
        if spec.timed and (excuse := rig.excuse(began_s)):
            return StepState.INCONCLUSIVE, f"too busy a machine to judge: {failure}; but {excuse}"
        return StepState.FAILED, str(failure)
    except (redis.RedisError, OSError) as error:
        return StepState.FAILED, in_words(error)
    except Exception as error:  # a defect in a step must not hide what the other steps find
        logger.exception("step %s broke", spec.id)
        return StepState.FAILED, f"the step itself broke: {type(error).__name__}: {error}"


def clean_up(rig: Rig, on_step: Callable[[Step], None]) -> Step:
    started = time.perf_counter()
    group, name = "Recovery", "Probe keys removed"
    on_step(Step("clean-up", group, name, StepState.RUNNING, "", None))
    left = rig.close()
    state = StepState.FAILED if left else StepState.PASSED
    detail = f"keys with the prefix {rig.prefix} remain: {'; '.join(left)}" if left else "nothing is left on the stores"
    step = Step("clean-up", group, name, state, detail, (time.perf_counter() - started) * 1000)
    on_step(step)
    return step
