"""Alerts from the operator's side: what fires, what was sent, acknowledge, silence, maintenance, rules.

Every change is kept on both stores, reaches the active agent within a second, and stands in the audit trail with its
author. Where nothing else is said, functions raise AllStoresDown when no store keeps the change, and ConfigurationError
for what makes no sense.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hybrid.client import HybridRedis
from hybrid.core.alert_desk import Desk, Incident, IncidentState, Quiet, SummaryTime
from hybrid.core.alert_rules import EDITABLE, RULES, Rule, RuleChange, Severity, Unit, changed_rule
from hybrid.core.alert_texts import number, title_of, trial_message
from hybrid.core.alerting import acknowledged
from hybrid.core.live import AuditEntry
from hybrid.core.outbox import Delivery, DeliveryState, Kind, Message, settled, with_delivery
from hybrid.core.wording import length
from hybrid.errors import AllStoresDown, ConfigurationError
from hybrid.observe.alert_send import Sender, receiver_name
from hybrid.observe.alert_store import DeskStore
from hybrid.observe.alerts import rule_defaults
from hybrid.types import Store

__all__ = [
    "EDITABLE",
    "RULES",
    "AlertControl",
    "Delivery",
    "DeliveryRow",
    "DeliveryState",
    "Desk",
    "Incident",
    "IncidentState",
    "Kind",
    "Message",
    "Quiet",
    "Rule",
    "RuleRow",
    "Severity",
    "Unit",
    "length",
    "number",
    "title_of",
]

logger = logging.getLogger("hybrid.control")

LONGEST_QUIET_S: Final = 30 * 86400.0
MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule in force. `change` is what operators made of it, None while it is as it was built in (or as the settings
    say)."""

    rule: Rule
    change: RuleChange | None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One message and one receiver. Without any receiver yet, `receiver` is ""."""

    message: Message
    receiver: str
    delivery: Delivery


class AlertControl:
    """Reads and edits the document of alerts. `store` is the running agent's, where there is one."""

    def __init__(self, client: HybridRedis, store: DeskStore | None = None) -> None:
        self._client = client
        self._shared = store is not None
        self._store = store or DeskStore(client._engine)

    def __enter__(self) -> AlertControl:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._shared:
            self._store.close()

    # -- looking

    def desk(self) -> Desk:
        """Everything, as of now: of an agent from memory, else read from the stores. Raises AllStoresDown."""
        if not self._shared:
            self._client.start()
            self._store.look(everywhere=not self._client._engine.board.reachable(Store.LOCAL))
            if not self._store.is_read:
                raise AllStoresDown("no store can be asked for the alerts now")
        return self._store.desk

    def incidents(self, limit: int = 100) -> tuple[Incident, ...]:
        """Active ones first, then the latest."""
        found = sorted(self.desk().incidents, key=lambda each: (not each.is_active, -each.opened_s))
        return tuple(found[:limit])

    def rules(self) -> tuple[RuleRow, ...]:
        """Every rule in force."""
        desk = self.desk()
        found = desk.rules(rule_defaults(self._client.settings))
        return tuple(RuleRow(rule, desk.changes.get(name)) for name, rule in found.items())

    def deliveries(self, limit: int = 100) -> tuple[DeliveryRow, ...]:
        """What was sent to whom, or waits, newest first."""
        rows = [
            DeliveryRow(message, receiver, delivery)
            for message in reversed(self.desk().messages)
            for receiver, delivery in (message.deliveries or {"": Delivery()}).items()
        ]
        return tuple(rows[:limit])

    def quiets(self) -> tuple[Quiet, ...]:
        """Silences and maintenance windows that are in force or to come."""
        now_s = time.time()
        return tuple(quiet for quiet in self.desk().quiets if quiet.until_s > now_s)

    @property
    def receivers(self) -> tuple[str, ...]:
        """Who gets alerts from this process, if it is the active agent; by names that give nothing away."""
        return tuple(map(receiver_name, self._client.settings.alert_urls))

    # -- changing

    def acknowledge(self, author: str, incident: str) -> Incident:
        """Say that somebody takes care of it: no more reminders. `incident` is its id, or how it begins."""
        found = self._found(incident)
        if not found.is_active:
            raise ConfigurationError(f"incident {found.id} is resolved already")
        now_s = time.time()

        def change(desk: Desk) -> Desk:
            current = next((each for each in desk.incidents if each.id == found.id), found)
            return acknowledged(desk, current, author, now_s)

        self._edit(author, f"acknowledged {title_of(*found.key)} ({found.id})", change)
        return self._found(found.id)

    def silence(
        self, author: str, for_s: float, *, rules: Sequence[str] = (), subject: str = "", reason: str = ""
    ) -> Quiet:
        """From now on, tell nothing of these rules (none: all) and this subject ("": any). What is still open at the
        end is told then."""
        now_s = time.time()
        return self._quiet(author, Quiet(_id(), tuple(rules), subject, now_s, now_s + for_s, author, reason))

    def maintenance(self, author: str, from_s: float, until_s: float, *, subject: str = "", reason: str = "") -> Quiet:
        """Plan a time (Unix times) in which nothing of this subject is told."""
        return self._quiet(author, Quiet(_id(), (), subject, from_s, until_s, author, reason, maintenance=True))

    def _quiet(self, author: str, quiet: Quiet) -> Quiet:
        length_s = quiet.until_s - quiet.from_s
        if not 0 < length_s <= LONGEST_QUIET_S or quiet.until_s <= time.time():
            raise ConfigurationError("a silence or maintenance window must end in the future, after at most 30 days")
        for name in quiet.rules:
            _known_rule(name)
        if quiet.subject and quiet.subject not in (*Store,):
            raise ConfigurationError(f"a silence is about local, cloud or both, not {quiet.subject!r}")
        what = "maintenance" if quiet.maintenance else f"silenced {', '.join(quiet.rules) or 'everything'}"
        words = f"{what} for {length(length_s)}" + f" on {quiet.subject}" * bool(quiet.subject)
        self._edit(author, words, lambda desk: with_quiet(desk, quiet))
        return quiet

    def end_quiet(self, author: str, quiet: str) -> None:
        """End a silence or maintenance window now, or before it begins."""
        found = [each for each in self.quiets() if each.id.startswith(quiet)]
        if len(found) != 1:
            raise ConfigurationError(f"there is no silence or maintenance window {quiet!r} in force")
        ended = replace(found[0], until_s=time.time())
        self._edit(
            author,
            f"ended {'maintenance' if ended.maintenance else 'silence'} {ended.id}",
            lambda desk: with_quiet(desk, ended),
        )

    def change_rule(self, author: str, name: str, **values: Any) -> Rule:
        """Change `EDITABLE` values of a rule for every agent; without any values, it is again as it was built in."""
        changed, merged = self._planned(name, values)
        change = RuleChange({key: _plain(value) for key, value in merged.items()}, author, time.time())
        words = ", ".join(f"{key}={value}" for key, value in values.items()) or "as built in"
        self._edit(author, f"rule {name}: {words}", lambda desk: replace(desk, changes={**desk.changes, name: change}))
        return changed

    def check_rules(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Whether all these changes, by rule, make sense. Raises ConfigurationError for the first that does not."""
        for name, values in changes.items():
            self._planned(name, values)

    def _planned(self, name: str, values: Mapping[str, Any]) -> tuple[Rule, dict[str, Any]]:
        """The rule as it would be, and all that operators have changed of it then."""
        rule = _known_rule(name)
        before = self.desk().changes.get(name)
        merged = {**(before.values if before else {}), **values} if values else {}
        default = changed_rule(rule, rule_defaults(self._client.settings).get(name, {}))
        return changed_rule(default, merged), merged

    def set_summary(self, author: str, minute: int | None) -> None:
        """Send a daily summary so many minutes after midnight UTC; None: send none."""
        if minute is not None and not 0 <= minute < MINUTES:
            raise ConfigurationError(f"the daily summary is sent at a minute of the day (0 to 1439), not {minute}")
        summary = SummaryTime(minute, author, time.time())
        words = "off" if minute is None else f"at {minute // 60:02}:{minute % 60:02} UTC"
        self._edit(author, f"daily summary {words}", lambda desk: replace(desk, summary=summary))

    # -- trying

    def send_test(self, author: str) -> Message:
        """Have the active agent send a test alert to its receivers; `deliveries` says what came of it."""
        message = trial_message(author, time.time())
        self._edit(author, "test alert", lambda desk: desk.with_message(message))
        return message

    def send_test_now(self, author: str) -> dict[str, str]:
        """Send a test alert from this process; by receiver, why it failed, "" where it was taken."""
        sender = Sender(self._client.settings.alert_urls)
        if not sender.receivers:
            raise ConfigurationError("nobody to send to: set HYBRID_ALERT_URLS to one or more Apprise URLs")
        message = trial_message(author, time.time())
        results = {receiver: sender.send(message, receiver) for receiver in sender.receivers}
        for receiver, error in results.items():
            now_s = time.time()
            attempt = Delivery(attempts=1, at_s=now_s)
            done = settled(attempt, error, message.made_s, now_s)
            over = done if not error else replace(done, state=DeliveryState.GIVEN_UP)
            message = with_delivery(message, receiver, over)
        try:
            self._edit(author, "test alert", lambda desk: desk.with_message(message))
        except AllStoresDown:
            logger.info("no store keeps the record of the test alert")
        return results

    # -- inside

    def _found(self, incident: str) -> Incident:
        found = [each for each in self.desk().incidents if incident and each.id.startswith(incident)]
        if len(found) != 1:
            raise ConfigurationError(f"there is no incident {incident!r}; see `python -m hybrid alerts list`")
        return found[0]

    def _edit(self, author: str, words: str, change: Callable[[Desk], Desk]) -> None:
        if not author.strip():
            raise ConfigurationError("say who decides: author must not be empty")
        self._client.start()
        if not self._store.edit(change):
            raise AllStoresDown("no store takes the change now")
        logger.info("%s: %s", author, words)
        self._client.live.audit.note(AuditEntry(self._client.live.version, time.time(), author, f"alerts: {words}", {}))


def with_quiet(desk: Desk, quiet: Quiet) -> Desk:
    others = [each for each in desk.quiets if each.id != quiet.id]
    return replace(desk, quiets=tuple(sorted([*others, quiet], key=lambda each: (each.from_s, each.id))))


def _known_rule(name: str) -> Rule:
    if name not in RULES:
        raise ConfigurationError(f"there is no rule {name!r}, only {', '.join(RULES)}")
    return RULES[name]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Severity) else value


def _id() -> str:
    return secrets.token_hex(4)
