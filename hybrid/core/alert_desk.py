"""Everything that alerting must not forget, as one document: incidents, messages, silences, what operators changed.

It stands on both stores. Copies that were edited apart are merged: nothing that one of them knows is lost, and merging
in any order, any number of times, gives the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, TypeVar

from hybrid.core.alert_rules import RULES, Rule, RuleChange, Severity, changed_rule
from hybrid.core.outbox import Delivery, DeliveryState, Kind, Message, merged_message
from hybrid.errors import ConfigurationError

__all__ = ["Desk", "Incident", "IncidentState", "Quiet", "SummaryTime", "incident_id", "merged_desk"]

RESOLVED_KEPT: Final = 60
MESSAGES_KEPT: Final = 120
QUIETS_KEPT_S: Final = 7 * 86400.0

K = TypeVar("K")


class IncidentState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


_RANK: Final = tuple(IncidentState)


@dataclass(frozen=True, slots=True)
class Incident:
    """One occurrence of one condition. `subject` is a store, or "" for the pair; `text` says what was found, `told`
    that a message was made of it. Times are Unix times, 0 where it did not happen."""

    id: str
    rule: str
    subject: str
    severity: Severity
    state: IncidentState
    opened_s: float
    text: str
    value: float = 0.0
    told: bool = False
    told_s: float = 0.0
    acknowledged_by: str = ""
    acknowledged_s: float = 0.0
    resolved_s: float = 0.0

    @property
    def is_active(self) -> bool:
        return self.state is not IncidentState.RESOLVED

    @property
    def key(self) -> tuple[str, str]:
        return self.rule, self.subject


@dataclass(frozen=True, slots=True)
class Quiet:
    """A silence (from now on) or a maintenance window (planned): incidents that match are recorded, and not told until
    it ends. No `rules` means all of them, subject "" any."""

    id: str
    rules: tuple[str, ...]
    subject: str
    from_s: float
    until_s: float
    author: str
    reason: str
    maintenance: bool = False

    def covers(self, incident: Incident, now_s: float) -> bool:
        mine = (not self.rules or incident.rule in self.rules) and self.subject in ("", incident.subject)
        return mine and self.from_s <= now_s < self.until_s


@dataclass(frozen=True, slots=True)
class SummaryTime:
    """When the daily summary is sent: minutes after midnight UTC, None for never."""

    minute: int | None = None
    author: str = ""
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Desk:
    """The document. `changes` are operators' changes to rules by name, `summarized` the last day with a summary."""

    incidents: tuple[Incident, ...] = ()
    messages: tuple[Message, ...] = ()
    quiets: tuple[Quiet, ...] = ()
    changes: Mapping[str, RuleChange] = field(default_factory=dict)
    summary: SummaryTime = SummaryTime()
    summarized: str = ""

    @property
    def active(self) -> tuple[Incident, ...]:
        """Incidents that are not over, oldest first."""
        return tuple(incident for incident in self.incidents if incident.is_active)

    def of(self, rule: str, subject: str) -> Incident | None:
        """The oldest active incident of this rule and subject."""
        return next((incident for incident in self.active if incident.key == (rule, subject)), None)

    def rules(self, defaults: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Rule]:
        """The rules in force: built in, then `defaults` by rule name (from settings), then what operators changed.
        A change that makes no sense here, of another version, counts as none."""
        found = {}
        for name, rule in RULES.items():
            rule = changed_rule(rule, (defaults or {}).get(name, {}))
            change = self.changes.get(name)
            try:
                found[name] = changed_rule(rule, change.values) if change else rule
            except ConfigurationError:
                found[name] = rule
        return found

    def is_quiet(self, incident: Incident, now_s: float) -> bool:
        return any(quiet.covers(incident, now_s) for quiet in self.quiets)

    def with_incident(self, incident: Incident) -> Desk:
        """Put it in, in place of the one with its id."""
        others = [other for other in self.incidents if other.id != incident.id]
        return replace(self, incidents=_by_time([*others, incident], lambda each: each.opened_s))

    def with_message(self, message: Message) -> Desk:
        others = [other for other in self.messages if other.id != message.id]
        return replace(self, messages=_by_time([*others, message], lambda each: each.made_s))

    def pruned(self, now_s: float) -> Desk:
        """Without what nobody asks for any more, so that it stays small. What is open or on its way stays."""
        resolved = [incident.id for incident in self.incidents if not incident.is_active][:-RESOLVED_KEPT]
        over = [message.id for message in self.messages if message.is_over(now_s)][:-MESSAGES_KEPT]
        waiting = [message.id for message in self.messages if not message.is_over(now_s)][:-MESSAGES_KEPT]
        old = {*resolved, *over, *waiting}
        return replace(
            self,
            incidents=tuple(incident for incident in self.incidents if incident.id not in old),
            messages=tuple(message for message in self.messages if message.id not in old),
            quiets=tuple(quiet for quiet in self.quiets if now_s - quiet.until_s < QUIETS_KEPT_S),
        )

    @property
    def packed(self) -> bytes:
        """As it stands on a store, for `parse`."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True).encode()

    @classmethod
    def parse(cls, packed: bytes | None) -> Desk:
        """Raises ValueError for anything else; fields of a newer version are left out."""
        if not packed:
            return cls()
        try:
            return _desk(json.loads(packed))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the document of alerts: {error}") from None


def incident_id(rule: str, subject: str, opened_s: float) -> str:
    """Short enough to type, and the same for whoever opens the same incident."""
    return sha256(f"{rule}|{subject}|{opened_s:.3f}".encode()).hexdigest()[:8]


def merged_desk(first: Desk, second: Desk) -> Desk:
    """What both know together."""
    return Desk(
        incidents=_by_time(_union(first.incidents, second.incidents, _merged_incident), lambda each: each.opened_s),
        messages=_by_time(_union(first.messages, second.messages, merged_message), lambda each: each.made_s),
        quiets=_by_time(_union(first.quiets, second.quiets, _merged_quiet), lambda each: each.from_s),
        changes={
            name: max(
                (desk.changes[name] for desk in (first, second) if name in desk.changes),
                key=lambda change: (change.at_s, change.author, json.dumps(dict(change.values), sort_keys=True)),
            )
            for name in sorted({*first.changes, *second.changes})
        },
        summary=max(first.summary, second.summary, key=lambda each: (each.at_s, each.author, str(each.minute))),
        summarized=max(first.summarized, second.summarized),
    )


def _merged_incident(first: Incident, second: Incident) -> Incident:
    """Each part by a maximum of its own: a maximum over all parts together, of which some were then replaced, would
    depend on the order of merging."""
    acknowledged = max((first, second), key=lambda each: (each.acknowledged_s, each.acknowledged_by))
    return replace(
        max((first, second), key=_course),
        told=first.told or second.told,
        told_s=max(first.told_s, second.told_s),
        acknowledged_by=acknowledged.acknowledged_by,
        acknowledged_s=acknowledged.acknowledged_s,
    )


def _course(incident: Incident) -> tuple[int, float, str]:
    """How far it has got, then what was found, without what is merged by itself."""
    found = replace(incident, told=False, told_s=0.0, acknowledged_by="", acknowledged_s=0.0)
    return _RANK.index(found.state), found.resolved_s, repr(found)


def _merged_quiet(first: Quiet, second: Quiet) -> Quiet:
    """A quiet time is only ever ended earlier."""
    return min(first, second, key=lambda quiet: (quiet.until_s, repr(quiet)))


def _union(first: Iterable[Any], second: Iterable[Any], merged: Callable[[Any, Any], Any]) -> list[Any]:
    found = {each.id: each for each in first}
    for each in second:
        found[each.id] = merged(found[each.id], each) if each.id in found else each
    return list(found.values())


def _by_time(items: Iterable[Any], at_s: Callable[[Any], float]) -> tuple[Any, ...]:
    return tuple(sorted(items, key=lambda item: (at_s(item), item.id)))


# -- reading


def _desk(document: dict[str, Any]) -> Desk:
    return Desk(
        incidents=tuple(
            _read(Incident, each, severity=Severity, state=IncidentState) for each in document["incidents"]
        ),
        messages=tuple(
            _read(Message, each, severity=Severity, kind=Kind, deliveries=_deliveries) for each in document["messages"]
        ),
        quiets=tuple(_read(Quiet, each, rules=tuple) for each in document["quiets"]),
        changes={name: _read(RuleChange, each) for name, each in document["changes"].items()},
        summary=_read(SummaryTime, document["summary"]),
        summarized=document["summarized"],
    )


def _deliveries(document: dict[str, Any]) -> dict[str, Delivery]:
    return {name: _read(Delivery, each, state=DeliveryState) for name, each in document.items()}


def _read(made: type[K], document: dict[str, Any], /, **converted: Callable[[Any], Any]) -> K:
    names = {f.name for f in fields(made)}  # type: ignore[arg-type]
    known = {name: value for name, value in document.items() if name in names}
    return made(**{name: converted[name](value) if name in converted else value for name, value in known.items()})
