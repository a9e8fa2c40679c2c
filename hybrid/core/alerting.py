"""What fires, and what is told of it: readings become incidents, incidents become messages.

Every transition of an incident is in one table. Nothing here asks or sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from hybrid.core.alert_desk import Desk, Incident, IncidentState, incident_id
from hybrid.core.alert_rules import INHIBITED_BY, Rule
from hybrid.core.alert_texts import message_of
from hybrid.core.outbox import Kind

__all__ = ["TRANSITIONS", "Pending", "Reading", "Signal", "acknowledged", "evaluated", "unhealed"]

Pending = Mapping[tuple[str, str], float]
"""Since when (Unix time) a rule and subject have been contrary to what the incidents say; in memory only."""

PULSE_MARGIN_S: Final = 30.0
"""Processes meet the same event at slightly different times."""

FLAPPING_S: Final = 900.0
DAMPED: Final = 5
"""Each recovery within 15 minutes doubles the patience before the next, up to 2 to this power."""


class Signal(StrEnum):
    """What can happen to an incident."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    REMINDED = "reminded"
    CLEARED = "cleared"
    DOUBLED = "doubled"


_OPEN, _ACKNOWLEDGED, _RESOLVED = IncidentState
TRANSITIONS: Final[Mapping[tuple[IncidentState | None, Signal], tuple[IncidentState, Kind | None]]] = MappingProxyType(
    {
        (None, Signal.RAISED): (_OPEN, Kind.ALERT),
        (_OPEN, Signal.ACKNOWLEDGED): (_ACKNOWLEDGED, None),
        (_OPEN, Signal.REMINDED): (_OPEN, Kind.REMINDER),
        (_OPEN, Signal.CLEARED): (_RESOLVED, Kind.RECOVERY),
        (_ACKNOWLEDGED, Signal.CLEARED): (_RESOLVED, Kind.RECOVERY),
        # Two agents that could not hear of each other have opened the same incident.
        (_OPEN, Signal.DOUBLED): (_RESOLVED, None),
        (_ACKNOWLEDGED, Signal.DOUBLED): (_RESOLVED, None),
    }
)
"""(state, signal) to (next state, what is told). What is not listed changes nothing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The number of one rule and subject now; None is unknown, which neither raises nor clears. `text` says it in
    words, `since_s` since when it is so, where that is known better than by having looked. `pulse_s` is when an event
    told it, which may be over already."""

    rule: str
    subject: str
    value: float | None
    text: str = ""
    since_s: float | None = None
    pulse_s: float | None = None

    def first_s(self, now_s: float) -> float:
        """Since when it is so, seen for the first time now. An agent that takes over need not wait once more."""
        return now_s if self.since_s is None else min(self.since_s, now_s)


def evaluated(
    desk: Desk, readings: Iterable[Reading], rules: Mapping[str, Rule], pending: Pending, now_s: float
) -> tuple[Desk, dict[tuple[str, str], float]]:
    """The desk after these readings, and what is pending. Messages are made, not sent."""
    desk = _without_doubles(desk)
    still: dict[tuple[str, str], float] = {}
    found = {(reading.rule, reading.subject): reading for reading in readings}
    for name, rule in rules.items():
        subjects = {subject for each, subject in found if each == name}
        for subject in sorted(subjects | {incident.subject for incident in desk.active if incident.rule == name}):
            reading = found.get((name, subject), Reading(name, subject, None))
            desk = _judged(desk, rule, reading, pending, still, now_s)
    for incident in desk.active:
        if incident.rule in rules:
            desk = _told(desk, incident, rules[incident.rule], now_s)
    return desk.pruned(now_s), still


def _judged(
    desk: Desk, rule: Rule, reading: Reading, pending: Pending, still: dict[tuple[str, str], float], now_s: float
) -> Desk:
    """Open or resolve what this reading says, once it has said so for long enough."""
    key = (rule.name, reading.subject)
    incident = desk.of(*key)
    if not rule.enabled:
        return _step(desk, incident, Signal.CLEARED, now_s, "the rule was switched off") if incident else desk
    holds = None if reading.value is None else rule.holds(reading.value, incident is not None)
    if incident is None:
        if _is_fresh_pulse(desk, reading):
            return _opened(desk, rule, reading, now_s)
        if not holds or _inhibited(desk, rule, reading.subject, pending):
            return desk
        since_s = pending.get(key, reading.first_s(now_s))
        if now_s - since_s >= rule.raise_after_s:
            return _opened(desk, rule, reading, now_s)
        still[key] = since_s
        return desk
    if holds is not False:
        return desk
    since_s = pending.get(key, reading.first_s(now_s))
    if now_s - since_s < rule.clear_after_s * 2.0 ** min(_recoveries(desk, key, now_s), DAMPED):
        still[key] = since_s
        return desk
    return _step(desk, incident, Signal.CLEARED, now_s, reading.text)


def _opened(desk: Desk, rule: Rule, reading: Reading, now_s: float) -> Desk:
    state, _ = TRANSITIONS[None, Signal.RAISED]
    name = incident_id(rule.name, reading.subject, now_s)
    value = reading.value or 0.0
    return desk.with_incident(
        Incident(name, rule.name, reading.subject, rule.severity, state, now_s, reading.text, value)
    )


def _inhibited(desk: Desk, rule: Rule, subject: str, pending: Pending) -> bool:
    """Whether it follows from something that is open, or about to be."""
    names = INHIBITED_BY.get(rule.name, ())
    return any(incident.rule in names for incident in desk.active) or any(
        name in names and desk.of(name, other) is None for name, other in pending
    )


def _is_fresh_pulse(desk: Desk, reading: Reading) -> bool:
    if reading.pulse_s is None:
        return False
    known = [incident.resolved_s for incident in desk.incidents if incident.key == (reading.rule, reading.subject)]
    return all(reading.pulse_s > resolved_s + PULSE_MARGIN_S for resolved_s in known)


def _recoveries(desk: Desk, key: tuple[str, str], now_s: float) -> int:
    """How often it has recovered lately: what flaps is told less and less often."""
    return sum(
        incident.key == key and not incident.is_active and now_s - incident.resolved_s < FLAPPING_S
        for incident in desk.incidents
    )


def _step(desk: Desk, incident: Incident, signal: Signal, now_s: float, text: str = "") -> Desk:
    """One transition, and the message that it makes."""
    step = TRANSITIONS.get((incident.state, signal))
    if step is None:
        return desk
    state, kind = step
    after = replace(incident, state=state, resolved_s=now_s if state is IncidentState.RESOLVED else 0.0)
    if kind is not None and incident.told:
        # Whoever has heard that it began hears that it is over, silence or not.
        desk = desk.with_message(message_of(after, kind, now_s, text))
        after = replace(after, told_s=now_s)
    return desk.with_incident(after)


def _told(desk: Desk, incident: Incident, rule: Rule, now_s: float) -> Desk:
    """Tell of an open incident: once, when no silence covers it, and again after a while."""
    if desk.is_quiet(incident, now_s) or incident.state is not IncidentState.OPEN:
        return desk
    if not incident.told:
        _, kind = TRANSITIONS[None, Signal.RAISED]
        assert kind is not None
        desk = desk.with_message(message_of(incident, kind, now_s, incident.text))
        return desk.with_incident(replace(incident, told=True, told_s=now_s))
    if rule.remind_after_s and now_s - incident.told_s >= rule.remind_after_s:
        return _step(desk, incident, Signal.REMINDED, now_s, incident.text)
    return desk


def _without_doubles(desk: Desk) -> Desk:
    seen: set[tuple[str, str]] = set()
    for incident in desk.active:
        if incident.key in seen:
            desk = _step(desk, incident, Signal.DOUBLED, incident.opened_s)
        seen.add(incident.key)
    return desk


def acknowledged(desk: Desk, incident: Incident, author: str, now_s: float) -> Desk:
    """Somebody takes care of it: no more reminders. The recovery is still told."""
    step = TRANSITIONS.get((incident.state, Signal.ACKNOWLEDGED))
    if step is None:
        return desk
    return desk.with_incident(replace(incident, state=step[0], acknowledged_by=author, acknowledged_s=now_s))


def unhealed(desk: Desk, now_s: float) -> bool:
    """Whether something is open, or on its way to a receiver."""
    return bool(desk.active) or any(not message.is_over(now_s) for message in desk.messages)
