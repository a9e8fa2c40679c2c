"""What the page Alerts reads: the document of alerts, from memory; the event log, asked beside the page."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hybrid.ops.alerts import (
    AlertControl,
    Delivery,
    DeliveryRow,
    DeliveryState,
    Incident,
    IncidentState,
    Kind,
    Message,
    Quiet,
    Rule,
    RuleRow,
    Severity,
    Unit,
    length,
    number,
    title_of,
)
from hybrid.types import Store
from panel.metrics import queries as metrics
from panel.metrics.queries import EventRow, Measured
from panel.process import process
from panel.reads import Answer

__all__ = [
    "Delivery",
    "DeliveryRow",
    "DeliveryState",
    "EventRow",
    "Incident",
    "IncidentState",
    "Kind",
    "Measured",
    "Message",
    "Quiet",
    "Rule",
    "RuleRow",
    "Severity",
    "Snapshot",
    "Store",
    "Unit",
    "control",
    "event_rows",
    "length",
    "measured",
    "number",
    "snapshot",
    "title_of",
]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the agent knows now. `active` says that this panel is the one that judges and sends."""

    incidents: tuple[Incident, ...]
    deliveries: tuple[DeliveryRow, ...]
    quiets: tuple[Quiet, ...]
    rules: tuple[RuleRow, ...]
    receivers: tuple[str, ...]
    summary_minute: int | None
    active: bool

    @property
    def firing(self) -> tuple[Incident, ...]:
        return tuple(incident for incident in self.incidents if incident.is_active)

    def advice(self, incident: Incident) -> str:
        """What to do about it, as its rule says; "" for a rule that is gone."""
        return next((row.rule.advice for row in self.rules if row.rule.name == incident.rule), "")

    def is_quiet(self, incident: Incident) -> bool:
        """Whether it is silenced now."""
        now_s = time.time()
        return any(quiet.covers(incident, now_s) for quiet in self.quiets)

    @property
    def failing(self) -> tuple[DeliveryRow, ...]:
        """Deliveries that failed and are tried again, or were given up."""
        return tuple(row for row in self.deliveries if row.delivery.error)


def control() -> AlertControl | None:
    """What changes alerts; None while no agent runs."""
    agent = process().agent
    return None if agent is None or agent.alerts is None else AlertControl(agent.client, agent.alerts.store)


def snapshot() -> Snapshot | None:
    """Everything but the event log, at once: no store is asked."""
    agent, steering = process().agent, control()
    if agent is None or steering is None:
        return None
    return Snapshot(
        incidents=steering.incidents(),
        deliveries=steering.deliveries(),
        quiets=steering.quiets(),
        rules=steering.rules(),
        receivers=steering.receivers,
        summary_minute=steering.desk().summary.minute,
        active=agent.is_active,
    )


def measured(span_s: float) -> Answer[Measured]:
    """What all processes recorded in the last so many seconds."""
    return metrics.measured(span_s)


def event_rows(found: Measured) -> list[EventRow]:
    """The events of all processes, oldest first."""
    return list(metrics.events(found))
