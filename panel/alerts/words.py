"""What the page Alerts calls things."""

from __future__ import annotations

from panel.alerts.queries import DeliveryState, IncidentState, Severity, Unit
from panel.i18n import N_, _

__all__ = ["DELIVERIES", "RULES", "SEVERITIES", "STATES", "UNITS", "level_word", "named", "rule_word"]

SEVERITIES = {
    Severity.CRITICAL: (N_("Critical"), ":material/error:", "red"),
    Severity.WARNING: (N_("Warning"), ":material/warning:", "orange"),
}
LEVELS = {
    "debug": N_("detail"),
    "info": N_("information"),
    "warning": N_("warning"),
    "error": N_("error"),
    "critical": N_("critical"),
}
STATES = {
    IncidentState.OPEN: (N_("Open"), ":material/notifications_active:", "red"),
    IncidentState.ACKNOWLEDGED: (N_("Acknowledged"), ":material/how_to_reg:", "blue"),
    IncidentState.RESOLVED: (N_("Resolved"), ":material/check_circle:", "green"),
}
DELIVERIES = {
    DeliveryState.WAITING: N_("waiting"),
    DeliveryState.SENDING: N_("being sent"),
    DeliveryState.FAILED: N_("failed, tried again"),
    DeliveryState.GIVEN_UP: N_("given up"),
    DeliveryState.SENT: N_("sent"),
}
RULES = {
    "no_store": N_("No store serves"),
    "store_down": N_("Store down"),
    "wiped": N_("Store lost its data"),
    "no_shipper": N_("Nobody ships the log"),
    "refused": N_("Store refuses commands"),
    "lag": N_("Replication lags"),
    "divergence": N_("Stores differ"),
    "conflicts": N_("Conflicts in the archive"),
    "log_folded": N_("Log folded"),
    "memory": N_("Memory nearly full"),
    "evicts": N_("Store evicts keys"),
    "budget_near": N_("Cloud cost near its budget"),
    "budget_over": N_("Cloud cost over its budget"),
    "certificate": N_("Certificate ends soon"),
}
UNITS = {
    Unit.STATE: N_("yes or no"),
    Unit.SECONDS: N_("seconds"),
    Unit.COUNT: N_("count"),
    Unit.SHARE: N_("percent"),
    Unit.DAYS: N_("days"),
}


def level_word(name: str) -> str:
    return _(LEVELS.get(name, name))


def rule_word(name: str) -> str:
    return _(RULES.get(name, name))


def named(rule: str, subject: str) -> str:
    """Such as "Store down: cloud"."""
    return f"{rule_word(rule)}: {_(subject)}" if subject else rule_word(rule)
