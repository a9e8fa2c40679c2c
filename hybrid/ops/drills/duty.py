"""Drills on schedule: the active one of all agents runs what falls due, and keeps the reports."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import redis

from hybrid.client import HybridRedis
from hybrid.core.schedule import Rule, due_slots, next_slot, parse_schedule
from hybrid.errors import ConfigurationError, HybridError
from hybrid.ops.drills.drill import run_drills
from hybrid.ops.drills.drill_report import DrillReport
from hybrid.ops.drills.history import drill_history, record_drill
from hybrid.ops.drills.leftovers import sweep
from hybrid.ops.drills.library import Drill, named_drills

__all__ = ["DrillDuty"]

logger = logging.getLogger("hybrid.drills")

TICK_S: Final = 20.0
LATE: Final = timedelta(hours=1)
"""A drill that nobody could run in time, because the agent was restarted, is run up to so much later."""

TIDY_S: Final = 3600.0
AUTHOR: Final = "schedule"


class Drilling(Protocol):
    """The part of an agent that drills need."""

    client: HybridRedis

    @property
    def is_active(self) -> bool: ...


class DrillDuty:
    """Looks every `tick_s` whether drills are due by `drill_schedule`, in this machine's local time (`now`)."""

    def __init__(self, agent: Drilling, *, now: Callable[[], datetime] = datetime.now, tick_s: float = TICK_S) -> None:
        self._agent = agent
        self._now = now
        self._tick_s = tick_s
        self._cancel = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hybrid-drills", daemon=True)
        self._seen: datetime | None = None
        self._tidy_at_s = 0.0
        self._running: str | None = None

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End; a drill that runs is cancelled, and cleans up after itself."""
        self._cancel.set()
        if self._thread.is_alive():
            self._thread.join(timeout=15.0)

    def health(self) -> Mapping[str, Any]:
        """What runs now, and when the next drill is due (Unix time); None for neither."""
        due = next_slot(self._rules(), self._now())
        return {"drills": {"running": self._running, "next_s": None if due is None else due.timestamp()}}

    def _run(self) -> None:
        while not self._cancel.wait(self._tick_s):
            try:
                self.look()
                self._tidy()
            except HybridError as error:
                logger.warning("the drills on schedule have to wait: %s", error)
            except Exception:
                logger.exception("the drills on schedule failed")

    def look(self) -> list[DrillReport]:
        """Run what is due, if this is the active agent. Raises StoreUnavailable when nobody knows what ran already."""
        now, rules = self._now(), self._rules()
        if not self._agent.is_active:
            self._seen = None
            return []
        if self._seen is None:  # newly active: what another agent ran is not run again
            self._seen = max([now - LATE, *self._ran(), *self._scheduled()])
        due, self._seen = due_slots(rules, self._seen, now), now
        return [report for slot, rule in due for report in self._play(slot, rule)]

    def _tidy(self) -> None:
        """Once an hour, if this is the active agent: remove what drills left that were killed."""
        client, now_s = self._agent.client, time.monotonic()
        if not self._agent.is_active or now_s < self._tidy_at_s:
            return
        self._tidy_at_s = now_s + TIDY_S
        for store in client._engine.endpoints:
            try:
                with client.store(store) as connection:
                    sweep(connection)
            except (redis.RedisError, OSError) as error:
                logger.debug("what drills left on the %s store is removed later: %s", store, error)

    def _scheduled(self) -> list[datetime]:
        """When the schedule was set: what would have been due before was not wanted then."""
        touch = self._agent.client.live.document.touched.get("drill_schedule")
        return [] if touch is None else [datetime.fromtimestamp(touch.at_s)]

    def _ran(self) -> list[datetime]:
        reports = drill_history(self._agent.client)
        slots = [datetime.fromtimestamp(report.slot_s) for report in reports if report.slot_s is not None]
        return slots[:1]

    def _play(self, slot: datetime, rule: Rule) -> list[DrillReport]:
        try:
            drills = named_drills(rule.names)
        except ConfigurationError as error:
            logger.error("a drill on schedule was not run: %s", error)
            return []
        client = self._agent.client

        def told(drill: Drill, _step: object) -> None:
            self._running = drill.name

        def ended(report: DrillReport) -> None:
            try:
                record_drill(client, report)
            except HybridError as error:
                logger.warning("drill %s: %s. %s", report.drill, report.outcome, error)

        try:
            return run_drills(
                drills,
                client.settings,
                on_step=told,
                on_report=ended,
                cancel=self._cancel,
                author=AUTHOR,
                slot_s=slot.timestamp(),
            )
        finally:
            self._running = None

    def _rules(self) -> tuple[Rule, ...]:
        return parse_schedule(self._agent.client.settings.drill_schedule)
