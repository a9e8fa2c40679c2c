"""What a message says: what, since when, what it means, what to do; nothing that is secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from hybrid.core.alert_desk import Desk, Incident, IncidentState
from hybrid.core.alert_rules import RULES, Severity, Unit
from hybrid.core.outbox import Kind, Message
from hybrid.core.wording import length

__all__ = ["message_of", "number", "summary_message", "title_of", "trial_message"]

PRODUCT: Final = "Hybrid Redis"
DAY_S: Final = 86400.0


def title_of(rule: str, subject: str) -> str:
    """Such as "Store down: cloud"."""
    title = RULES[rule].title if rule in RULES else rule
    return f"{title}: {subject}" if subject else title


def message_of(incident: Incident, kind: Kind, now_s: float, text: str) -> Message:
    """What is told of an incident. Its id is the same for whoever makes it, but of each reminder."""
    name = title_of(incident.rule, incident.subject)
    word = {Kind.RECOVERY: "RECOVERED", Kind.REMINDER: f"STILL {incident.severity.upper()}"}.get(
        kind, incident.severity.upper()
    )
    number_of = f"-{int(now_s)}" if kind is Kind.REMINDER else ""
    lines = [f"{text[:1].upper()}{text[1:]}." if text else ""]
    if kind is Kind.RECOVERY:
        lines.append(f"It lasted {length(incident.resolved_s - incident.opened_s)}, from {moment(incident.opened_s)}.")
        if incident.acknowledged_by:
            lines.append(f"{incident.acknowledged_by} took care of it.")
    else:
        lines.append(f"Since {moment(incident.opened_s)}.")
        lines.append(RULES[incident.rule].advice if incident.rule in RULES else "")
    lines.append(f"Incident {incident.id}")
    return Message(
        id=f"{incident.id}-{kind}{number_of}",
        kind=kind,
        severity=incident.severity,
        title=f"{PRODUCT} [{word}] {name}",
        body="\n".join(line for line in lines if line),
        made_s=now_s,
        incident=incident.id,
    )


def trial_message(author: str, now_s: float) -> Message:
    body = f"{author} asked for it at {moment(now_s)}. Nothing is wrong: this is how an alert arrives."
    return Message(
        f"test-{int(now_s * 1000)}", Kind.TEST, Severity.WARNING, f"{PRODUCT} [TEST] Test alert", body, now_s
    )


def summary_message(desk: Desk, facts: Mapping[str, str], day: str, now_s: float) -> Message:
    """The daily summary: what happened in 24 hours, what is open, and `facts` by name."""
    recent = [incident for incident in desk.incidents if now_s - incident.opened_s < DAY_S]
    active = desk.active
    lines = [f"{name}: {value}" for name, value in facts.items()]
    lines.append(f"Incidents in 24 hours: {len(recent) or 'none'}")
    lines += _listed(incident for incident in recent if incident not in active)
    lines.append(f"Open now: {len(active) or 'none'}")
    lines += _listed(active)
    worst = Severity.CRITICAL if any(each.severity is Severity.CRITICAL for each in active) else Severity.WARNING
    title = f"{PRODUCT} [SUMMARY] {day}: " + (f"{len(active)} open" if active else "nothing open")
    return Message(f"summary-{day}", Kind.SUMMARY, worst, title, "\n".join(lines), now_s)


def _listed(incidents: Iterable[Incident]) -> list[str]:
    found = []
    for incident in incidents:
        lasted = f", {length(incident.resolved_s - incident.opened_s)}" if not incident.is_active else ""
        by = f", {incident.acknowledged_by}" if incident.state is IncidentState.ACKNOWLEDGED else ""
        found.append(
            f"  {moment(incident.opened_s)} {title_of(incident.rule, incident.subject)} ({incident.id}{lasted}{by})"
        )
    return found


def moment(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def number(value: float, unit: Unit) -> str:
    """A rule's number as people write it."""
    if unit is Unit.STATE:
        return "yes" if value else "no"
    if unit is Unit.SHARE:
        return f"{value:.0%}"
    if unit is Unit.SECONDS:
        return length(value)
    return f"{value:,.0f} days" if unit is Unit.DAYS else f"{value:,.0f}"
