"""What the page Alerts changes; each action checks the role, and stands in the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hybrid.errors import HybridError
from hybrid.ops.alerts import AlertControl
from panel.actions import Outcome, require_operator
from panel.alerts.queries import control
from panel.i18n import _

__all__ = [
    "acknowledge",
    "change_rules",
    "end_quiet",
    "plan_maintenance",
    "reset_rule",
    "send_test",
    "set_summary",
    "silence",
]


def acknowledge(incident: str) -> Outcome:
    """Say that the person at the keys takes care of it."""
    return _done(lambda alerts, author: alerts.acknowledge(author, incident), _("Acknowledged: no more reminders."))


def silence(for_s: float, rules: Sequence[str], subject: str, reason: str) -> Outcome:
    """Tell nothing of these rules for a while."""
    return _done(
        lambda alerts, author: alerts.silence(author, for_s, rules=rules, subject=subject, reason=reason),
        _("Silenced. What is still open afterwards is told then."),
    )


def plan_maintenance(from_s: float, until_s: float, subject: str, reason: str) -> Outcome:
    """Plan a time in which nothing is told."""
    return _done(
        lambda alerts, author: alerts.maintenance(author, from_s, until_s, subject=subject, reason=reason),
        _("The maintenance window is planned."),
    )


def end_quiet(quiet: str) -> Outcome:
    """End a silence or a maintenance window now."""
    return _done(lambda alerts, author: alerts.end_quiet(author, quiet), _("Ended: what is open is told again."))


def change_rules(changes: Mapping[str, Mapping[str, Any]]) -> Outcome:
    """Change values of rules, by rule name; nothing is changed unless all of it makes sense."""

    def act(alerts: AlertControl, author: str) -> None:
        alerts.check_rules(changes)
        for name, values in changes.items():
            alerts.change_rule(author, name, **values)

    return _done(act, _("Applied by every agent within a second."))


def reset_rule(name: str) -> Outcome:
    """A rule as it was built in."""
    return _done(lambda alerts, author: alerts.change_rule(author, name), _("The rule is again as it was built in."))


def set_summary(minute: int | None) -> Outcome:
    """Minutes after midnight UTC, None for no daily summary."""
    words = _("No daily summary is sent.") if minute is None else _("The daily summary is planned.")
    return _done(lambda alerts, author: alerts.set_summary(author, minute), words)


def send_test() -> Outcome:
    """Have the active agent send a test alert."""
    return _done(
        lambda alerts, author: alerts.send_test(author), _("Asked for. What came of it is under Sent in a few seconds.")
    )


def _done(act: Callable[[AlertControl, str], object], words: str) -> Outcome:
    author, alerts = require_operator(), control()
    if alerts is None:
        return Outcome(False, _("Nothing was changed: the panel's client is not running."))
    try:
        act(alerts, author)
    except HybridError as error:
        return Outcome(False, _("Nothing was changed: {error}").format(error=error))
    return Outcome(True, words)
