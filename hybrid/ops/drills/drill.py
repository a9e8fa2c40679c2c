"""Runs a drill: once, or once more when the machine was too busy to judge; and several, one after the other."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import redis

from hybrid.core.guarantees import Evidence, Finding, Judgement, judged
from hybrid.errors import HybridError
from hybrid.ops.drills.drill_report import DrillReport, Figures, Outcome
from hybrid.ops.drills.library import Drill, Where, where_of
from hybrid.ops.drills.rehearsal import Act, Rehearsal
from hybrid.ops.drills.report import Step, StepState
from hybrid.ops.drills.rig import Absent, Cancelled, Failed, Skipped
from hybrid.ops.drills.stage import Stage
from hybrid.settings import Settings
from hybrid.stores.wire import plain_reason

__all__ = ["ATTEMPTS", "run_drill", "run_drills"]

logger = logging.getLogger("hybrid.drills")

ATTEMPTS = 3
CLEAN_UP = "clean-up"
OnStep = Callable[[Step], None]


def run_drills(
    drills: Sequence[Drill],
    settings: Settings,
    *,
    where: Where | None = None,
    on_step: Callable[[Drill, Step], None] = lambda drill, step: None,
    on_report: Callable[[DrillReport], None] = lambda report: None,
    cancel: threading.Event | None = None,
    author: str = "",
    slot_s: float | None = None,
) -> list[DrillReport]:
    """Each of `drills` after the other; those after a cancelled one are not begun. `on_report` hears of each as it
    ends. Raises as `run_drill`."""
    cancel = cancel or threading.Event()
    for drill in drills:
        where_of(drill, settings, where)  # complained about before the first one begins
    reports = []
    for drill in drills:
        if cancel.is_set():
            break
        report = run_drill(
            drill, settings, where=where, on_step=listener(drill, on_step), cancel=cancel, author=author, slot_s=slot_s
        )
        on_report(report)
        reports.append(report)
    return reports


def listener(drill: Drill, on_step: Callable[[Drill, Step], None]) -> OnStep:
    return lambda step: on_step(drill, step)


def run_drill(
    drill: Drill,
    settings: Settings,
    *,
    where: Where | None = None,
    on_step: OnStep = lambda step: None,
    cancel: threading.Event | None = None,
    attempts: int = ATTEMPTS,
    author: str = "",
    slot_s: float | None = None,
) -> DrillReport:
    """Play one drill on the stores of `settings`, or on throwaway servers (see `where_of`).

    No other client and no data is touched, and nothing stays behind. `on_step` hears of every step as it starts and
    ends. An attempt on a machine too busy to judge by is repeated, up to `attempts` times in all. Setting `cancel`
    ends the drill within moments. No failure of the stores is raised.

    Raises ConfigurationError when the drill cannot run where it is wanted.
    """
    place = where_of(drill, settings, where)
    cancel = cancel or threading.Event()
    for attempt in range(1, attempts + 1):
        report = Attempt(drill, settings, place, on_step, cancel).run()
        report = replace(report, attempts=attempt, author=author, slot_s=slot_s)
        if report.outcome is not Outcome.INCONCLUSIVE or cancel.is_set():
            break
        logger.info("%s, attempt %d: %s", drill.name, attempt, report.reason)
    level = logging.INFO if report.passed else logging.WARNING
    logger.log(level, "drill %s: %s. %s", drill.name, report.outcome, report.reason)
    return report


class Attempt:
    """One attempt at a drill; `run` does it and cleans up after it."""

    def __init__(
        self, drill: Drill, settings: Settings, where: Where, on_step: OnStep, cancel: threading.Event
    ) -> None:
        self._drill = drill
        self._settings = settings
        self._where = where
        self._on_step = on_step
        self._cancel = cancel
        self._steps: list[Step] = []
        self._cut_short = ""
        self._state = StepState.PASSED

    def run(self) -> DrillReport:
        began_s = time.time()
        try:
            stage = Stage(self._settings, self._where, self._cancel)
        except (HybridError, OSError) as error:
            return self._report(began_s, Outcome.SKIPPED, f"No servers could be started: {error}", None)
        rehearsal: Rehearsal | None = None
        try:
            rehearsal = Rehearsal(self._drill, stage)
            self._play(rehearsal)
        finally:
            self._clean_up(stage)
        return self._concluded(began_s, rehearsal)

    def _play(self, rehearsal: Rehearsal) -> None:
        try:
            for act in rehearsal.acts:
                self._act(act, rehearsal)
        finally:
            rehearsal.finish()

    def _act(self, act: Act, rehearsal: Rehearsal) -> None:
        if self._cut_short or self._cancel.is_set():
            self._tell(act, StepState.SKIPPED, "cancelled" if self._cancel.is_set() else "not reached")
            return
        self._tell(act, StepState.RUNNING, "")
        began_s = time.perf_counter()
        state, detail = self._outcome(act, rehearsal)
        self._tell(act, state, detail, (time.perf_counter() - began_s) * 1000)
        if state is not StepState.PASSED:
            self._state, self._cut_short = state, f"{act.name}: {detail}"

    def _outcome(self, act: Act, rehearsal: Rehearsal) -> tuple[StepState, str]:
        try:
            return StepState.PASSED, act.action()
        except Cancelled:
            return StepState.SKIPPED, "cancelled"
        except (Absent, Skipped) as reason:  # nothing was put to the test
            return StepState.SKIPPED, str(reason)
        except (Failed, HybridError, redis.RedisError, OSError) as error:
            detail = in_words(error)
            busy = rehearsal.stage.rig.excuse(0.0)
            return (StepState.INCONCLUSIVE, f"{detail}; but {busy}") if busy else (StepState.FAILED, detail)
        except Exception as error:  # a defect in a drill must not leave its keys and links behind
            logger.exception("the drill %s broke in %s", self._drill.name, act.id)
            return StepState.FAILED, f"the drill itself broke: {type(error).__name__}: {error}"

    def _tell(self, act: Act, state: StepState, detail: str, duration_ms: float | None = None) -> None:
        step = Step(act.id, act.group, act.name, state, detail, duration_ms)
        if state is not StepState.RUNNING:
            self._steps.append(step)
        try:
            self._on_step(step)
        except Exception:
            logger.exception("a listener failed on step %s", step.id)

    def _clean_up(self, stage: Stage) -> None:
        act = Act(CLEAN_UP, "Clean up", "Links closed, probe keys removed", lambda: "")
        self._tell(act, StepState.RUNNING, "")
        began_s = time.perf_counter()
        left = stage.close()
        detail = f"left behind: {'; '.join(left)}" if left else "nothing is left on the stores"
        state = StepState.FAILED if left else StepState.PASSED
        self._tell(act, state, detail, (time.perf_counter() - began_s) * 1000)
        if left and self._state is StepState.PASSED:
            self._state, self._cut_short = state, detail

    def _concluded(self, began_s: float, rehearsal: Rehearsal) -> DrillReport:
        judgements = judged(rehearsal.evidence, self._drill.checks, self._cut_short)
        broken = [each for each in judgements if each.finding is Finding.BROKEN]
        unsure = [each for each in judgements if each.finding is Finding.UNSURE]
        if broken:
            outcome, reason = Outcome.FAILED, " ".join(f"{each.guarantee}: {each.reason}." for each in broken)
        elif self._cancel.is_set():
            outcome, reason = Outcome.CANCELLED, "Cancelled before its end."
        elif self._state is StepState.SKIPPED:
            outcome, reason = Outcome.SKIPPED, f"{self._cut_short}."
        elif self._state is StepState.FAILED:
            outcome, reason = Outcome.FAILED, f"{self._cut_short}."
        elif unsure or self._state is StepState.INCONCLUSIVE:
            why = unsure[0].reason if unsure else self._cut_short
            outcome, reason = Outcome.INCONCLUSIVE, f"The machine was too busy to judge. {why}."
        else:
            kept = [each.guarantee for each in judgements if each.finding is Finding.KEPT]
            outcome, reason = Outcome.PASSED, f"Kept: {', '.join(kept)}."
        return self._report(began_s, outcome, reason, rehearsal, judgements)

    def _report(
        self,
        began_s: float,
        outcome: Outcome,
        reason: str,
        rehearsal: Rehearsal | None,
        judgements: tuple[Judgement, ...] | None = None,
    ) -> DrillReport:
        figures = rehearsal.figures if rehearsal else Figures()
        judgements = judged(Evidence(), self._drill.checks, reason) if judgements is None else judgements
        name, steps = self._drill.name, tuple(self._steps)
        return DrillReport(name, self._where, began_s, time.time(), outcome, reason, figures, judgements, steps)


def in_words(error: Exception) -> str:
    """Why a step failed; where only a connection did, a plain reason without the system's numbers."""
    if isinstance(error, Failed | HybridError):
        return str(error)
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError):
        return f"a store was lost: {plain_reason(error)}"
    return f"{type(error).__name__}: {error}"
