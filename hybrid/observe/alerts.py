"""The agents' alerting: the active one judges the rules each second, and sends what is to be told.

What is decided is written to both stores before it is sent, so another agent goes on where a killed one stopped.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from hybrid import events
from hybrid.client import HybridRedis
from hybrid.core.alert_desk import Desk
from hybrid.core.alert_rules import Severity, Unit
from hybrid.core.alert_texts import number, summary_message, title_of
from hybrid.core.alerting import Reading, evaluated
from hybrid.observe.alert_courier import Courier
from hybrid.observe.alert_readings import Facts, Refusals, certificate_days, pulses_of, readings_of
from hybrid.observe.alert_send import Sender
from hybrid.observe.alert_store import DeskStore
from hybrid.observe.divergence import DivergenceWatch
from hybrid.ops.metrics_tail import MetricsTail
from hybrid.ops.overview import Observer, Overview
from hybrid.settings import Settings
from hybrid.types import StoreState

__all__ = ["Alerts", "Watching", "rule_defaults"]

logger = logging.getLogger("hybrid.alerts")

TICK_S: Final = 1.0
FACTS_S: Final = 15.0
CERTIFICATE_S: Final = 12 * 3600.0
SETTLE_S: Final = 10.0
"""How long a new active agent waits for word of both stores before it judges on what it knows."""

PULSES_S: Final = 120.0
LATE_S: Final = 6 * 3600.0
"""A daily summary that could not be sent in time is still worth sending for so long."""


class Watching(Protocol):
    """The part of an agent that alerting needs."""

    client: HybridRedis
    observer: Observer
    metrics: MetricsTail | None
    divergence: DivergenceWatch | None

    @property
    def is_active(self) -> bool: ...


class Alerts(threading.Thread):
    """Runs from `start` to `close`; a duty of the agent."""

    def __init__(self, agent: Watching, sender: Sender | None = None) -> None:
        super().__init__(name="hybrid-alerts", daemon=True)
        self._agent = agent
        self._sender = sender or Sender(agent.client.settings.alert_urls)
        self.store = DeskStore(agent.client._engine)
        self.readings: tuple[Reading, ...] = ()
        """What the rules were last judged by, here; empty in an agent that stands by."""
        self._pending: Mapping[tuple[str, str], float] = {}
        self._pulses: deque[events.Event] = deque(maxlen=100)
        self._refusals = Refusals()
        self._facts = Facts()
        self._facts_due_s = self._certificates_due_s = 0.0
        self._in_office_s: float | None = None
        self._settled = False
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._couriers = [Courier(self, name) for name in self._sender.receivers]
        agent.client.events.add_hook(self._happened)

    # -- life

    def start(self) -> None:
        super().start()
        for courier in self._couriers:
            courier.start()

    def close(self) -> None:
        self._stopped.set()
        self._woken.set()
        for thread in (self, *self._couriers):
            if thread.is_alive():
                thread.join(timeout=2.0)
        self.store.close()

    @property
    def stopped(self) -> threading.Event:
        return self._stopped

    @property
    def sender(self) -> Sender:
        return self._sender

    @property
    def may_send(self) -> bool:
        """Whether this agent is the one that sends, and knows what was sent before it."""
        return self._agent.is_active and self._settled and not self._stopped.is_set()

    def health(self) -> dict[str, Any]:
        """Its part of the health document."""
        desk, now_s = self.store.desk, time.time()
        unsent = sum(not message.is_sent and not message.is_over(now_s) for message in desk.messages)
        return {
            "alerts": {
                "open": [title_of(*incident.key) for incident in desk.active],
                "critical": sum(incident.severity is Severity.CRITICAL for incident in desk.active),
                "unsent": unsent,
                "receivers": len(self._sender.receivers),
            }
        }

    def _happened(self, event: events.Event) -> None:
        if pulses_of([event]):
            self._pulses.append(event)
        self._woken.set()

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._turn(time.time())
            except Exception:
                # Whoever watches must outlive any surprise.
                logger.exception("judging the alerts failed and goes on")
            self._woken.wait(TICK_S)
            self._woken.clear()

    # -- one turn

    def _turn(self, now_s: float) -> None:
        active = self._agent.is_active
        if not active:
            self._in_office_s, self._settled, self._pending, self.readings = None, False, {}, ()
        elif self._in_office_s is None:
            self._in_office_s = now_s
        read = self.store.look(everywhere=active and not self._settled)
        if not active or not self._agent.observer.ready:
            return
        overview = self._agent.observer.overview()
        if not self._settled and not self._takes_over(overview, read, now_s):
            return
        self._settled = True
        self._judge(overview, now_s)
        self.store.repair()
        for courier in self._couriers:
            courier.wake()

    def _takes_over(self, overview: Overview, read: bool, now_s: float) -> bool:
        """Whether what the last active agent knew has been read, from every store that there is word of."""
        states = [each.state for each in (overview.status.local, overview.status.cloud) if each is not None]
        certain = read and StoreState.UNKNOWN not in states
        return certain or now_s - (self._in_office_s or now_s) > SETTLE_S

    def _judge(self, overview: Overview, now_s: float) -> None:
        self._refresh_facts(now_s)
        while self._pulses and now_s - self._pulses[0].at_s > PULSES_S:
            self._pulses.popleft()
        readings = {(each.rule, each.subject): each for each in readings_of(overview, self._facts, now_s)}
        for pulse in pulses_of(self._pulses):
            reading = readings.get((pulse.rule, pulse.subject), pulse)
            readings[pulse.rule, pulse.subject] = replace(
                reading, text=pulse.text if not reading.value else reading.text, pulse_s=pulse.pulse_s
            )
        self.readings = tuple(readings.values())
        pending: dict[tuple[str, str], float] = {}

        def judged(desk: Desk) -> Desk:
            nonlocal pending
            rules = desk.rules(rule_defaults(overview.settings))
            desk, pending = evaluated(desk, readings.values(), rules, self._pending, now_s)
            return with_summary(desk, overview, self._facts, now_s)

        before = self.store.desk
        if judged(before) != before:
            self.store.edit(judged)
            self._log(before, self.store.desk)
        self._pending = pending

    def _log(self, before: Desk, after: Desk) -> None:
        known = {incident.id: incident.state for incident in before.incidents}
        for incident in after.incidents:
            if known.get(incident.id) != incident.state:
                logger.warning("%s is %s: %s", title_of(*incident.key), incident.state, incident.text)

    def _refresh_facts(self, now_s: float) -> None:
        if now_s < self._facts_due_s:
            return
        self._facts_due_s = now_s + FACTS_S
        metrics, certificates = self._agent.metrics, self._facts.certificates
        if now_s >= self._certificates_due_s:
            engine = self._agent.client._engine
            certificates = {store: certificate_days(engine, store) for store in engine.endpoints}
            self._certificates_due_s = now_s + CERTIFICATE_S
        self._facts = Facts(
            cost=metrics.cost if metrics else None,
            divergence=self._agent.divergence.latest if self._agent.divergence else None,
            refused=self._refusals.take(metrics.totals()[0].errors, now_s) if metrics else None,
            certificates=certificates,
        )


def rule_defaults(settings: Settings) -> dict[str, dict[str, Any]]:
    """What settings say of rules, until an operator changes the rule itself."""
    return {"lag": {"threshold": settings.lag_threshold_s}}


def with_summary(desk: Desk, overview: Overview, facts: Facts, now_s: float) -> Desk:
    """The daily summary, when its time has come."""
    now = datetime.fromtimestamp(now_s, UTC)
    day, minute = f"{now:%Y-%m-%d}", desk.summary.minute
    if minute is None or desk.summarized >= day:
        return desk
    late_s = now.hour * 3600 + now.minute * 60 + now.second - minute * 60
    if not 0 <= late_s < LATE_S:
        return desk
    return replace(desk.with_message(summary_message(desk, summary_facts(overview, facts), day, now_s)), summarized=day)


def summary_facts(overview: Overview, facts: Facts) -> dict[str, str]:
    status, cost = overview.status, facts.cost
    lag = "unknown" if status.lag_s is None else number(status.lag_s, Unit.SECONDS)
    found = {"State": status.health.value, "Writes go to": f"the {status.authority} store", "Lag": lag}
    found["Conflicts in the archive"] = "unknown" if status.conflicts is None else f"{status.conflicts:,}"
    if facts.divergence is not None and facts.divergence.equal_share is not None:
        found["Equal, of what was compared"] = f"{facts.divergence.equal_share:.2%}"
    if cost is not None:
        budget = f" of {cost.budget_usd:.2f}" if cost.budget_usd else ""
        found["Cloud cost"] = f"{cost.usd:.2f}{budget} USD in {cost.month}, {cost.projected_usd:.2f} projected"
    return found
