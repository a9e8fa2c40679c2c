"""What is worth an alert: one table of rules, each with a threshold, hysteresis and patience.

A rule judges one number of one subject (a store, or the pair). It raises when the number is beyond `threshold` for
`raise_after_s`, and clears when it is back within `clear_at` for `clear_after_s`; in between nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from hybrid.errors import ConfigurationError

__all__ = ["EDITABLE", "INHIBITED_BY", "RULES", "Rule", "RuleChange", "Severity", "Unit", "changed_rule"]


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


class Unit(StrEnum):
    """What a rule's number is. `STATE` is yes or no, and has no threshold to change."""

    STATE = ""
    SECONDS = "s"
    COUNT = "count"
    SHARE = "share"
    DAYS = "days"


@dataclass(frozen=True, slots=True)
class Rule:
    """`clear_at` None means `threshold` times `clear_share`. A `below` rule raises when the number is under its
    threshold. `remind_after_s` is how often an incident that nobody acknowledges is told again; 0 is never."""

    name: str
    title: str
    advice: str
    severity: Severity
    unit: Unit = Unit.STATE
    threshold: float = 0.0
    clear_at: float | None = None
    clear_share: float = 1.0
    below: bool = False
    raise_after_s: float = 0.0
    clear_after_s: float = 0.0
    remind_after_s: float = 4 * 3600.0
    enabled: bool = True

    @property
    def clears_at(self) -> float:
        return self.threshold * self.clear_share if self.clear_at is None else self.clear_at

    def holds(self, value: float, raised: bool) -> bool:
        """Whether the condition holds for this number; what is `raised` already holds until it is well again."""
        limit = self.clears_at if raised else self.threshold
        if raised and limit != self.threshold:
            return value < limit if self.below else value > limit
        return value < self.threshold if self.below else value > self.threshold


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What operators have changed of a rule, and who was the last."""

    values: Mapping[str, Any]
    author: str
    at_s: float


EDITABLE: Final = ("enabled", "severity", "threshold", "clear_at", "raise_after_s", "clear_after_s", "remind_after_s")

_RULES = (
    Rule(
        "no_store",
        "No store serves",
        "Bring back either store; applications run on their own data source meanwhile.",
        Severity.CRITICAL,
        raise_after_s=2.0,
        clear_after_s=5.0,
        remind_after_s=3600.0,
    ),
    Rule(
        "store_down",
        "Store down",
        "Remove the reason; the other store carries on, and this one catches up by itself.",
        Severity.CRITICAL,
        raise_after_s=5.0,
        clear_after_s=10.0,
    ),
    Rule(
        "wiped",
        "Store lost its data",
        "It serves nothing until the other store has filled it again. If nobody emptied it, check its persistence.",
        Severity.CRITICAL,
        clear_after_s=5.0,
    ),
    Rule(
        "no_shipper",
        "Nobody ships the log",
        "Start an agent, or an application that uses both stores; one that runs says in its log what hinders it.",
        Severity.CRITICAL,
        raise_after_s=30.0,
        clear_after_s=5.0,
    ),
    Rule(
        "refused",
        "Store refuses commands",
        "Look at the kind of error: memory limit, read-only mode or missing permissions of the user.",
        Severity.CRITICAL,
        Unit.COUNT,
        clear_after_s=60.0,
    ),
    Rule(
        "lag",
        "Replication lags",
        "Look at the link to the other store, and at how much is written.",
        Severity.WARNING,
        Unit.SECONDS,
        30.0,
        clear_share=0.5,
        raise_after_s=10.0,
        clear_after_s=30.0,
    ),
    Rule(
        "divergence",
        "Stores differ",
        "Compare them on the Diff page or with `python -m hybrid diff`, and choose which value counts.",
        Severity.WARNING,
        Unit.SECONDS,
        900.0,
        clear_share=0.0,
    ),
    Rule(
        "conflicts",
        "Conflicts in the archive",
        "Look at both values, keep or restore: `python -m hybrid conflicts list`.",
        Severity.WARNING,
        Unit.COUNT,
        remind_after_s=24 * 3600.0,
    ),
    Rule(
        "log_folded",
        "Log folded",
        "The outage is so long that only the keys written are remembered. Bring the store back.",
        Severity.WARNING,
        Unit.COUNT,
        clear_after_s=30.0,
    ),
    Rule(
        "memory",
        "Memory nearly full",
        "Raise the store's memory limit or delete keys: a full store refuses writes.",
        Severity.WARNING,
        Unit.SHARE,
        0.9,
        clear_share=0.95,
        raise_after_s=60.0,
        clear_after_s=60.0,
    ),
    Rule(
        "evicts",
        "Store evicts keys",
        "Set its maxmemory-policy to noeviction: hybrid's own keys go as well, and what was not shipped yet with them.",
        Severity.WARNING,
        remind_after_s=24 * 3600.0,
    ),
    Rule(
        "budget_near",
        "Cloud cost near its budget",
        "At this rate the month ends above the share of the budget; see what is sent on the Metrics page.",
        Severity.WARNING,
        Unit.SHARE,
        0.8,
        clear_share=0.95,
        remind_after_s=0.0,
    ),
    Rule(
        "budget_over",
        "Cloud cost over its budget",
        "This month's budget is spent. Raise HYBRID_CLOUD_BUDGET or send less.",
        Severity.CRITICAL,
        Unit.SHARE,
        1.0,
        remind_after_s=24 * 3600.0,
    ),
    Rule(
        "certificate",
        "Certificate ends soon",
        "Renew the store's TLS certificate: when it has ended, no connection is made.",
        Severity.WARNING,
        Unit.DAYS,
        14.0,
        clear_share=1.1,
        below=True,
        remind_after_s=24 * 3600.0,
    ),
)
RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.name: rule for rule in _RULES})
"""In the order in which they are judged: what silences others comes first."""

INHIBITED_BY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        # What follows from a dead store is no incident of its own while that one is open.
        "store_down": ("no_store",),
        "lag": ("no_store", "store_down", "wiped"),
        "no_shipper": ("no_store", "store_down"),
        "divergence": ("no_store", "store_down", "wiped"),
        "refused": ("no_store",),
        "budget_near": ("budget_over",),
    }
)


def changed_rule(rule: Rule, values: Mapping[str, Any]) -> Rule:
    """The rule with `values` (of `EDITABLE`) in place of its own. Raises ConfigurationError."""
    for name in values:
        if name not in EDITABLE:
            raise ConfigurationError(f"{name} of a rule cannot be changed, only {', '.join(EDITABLE)}")
    try:
        changed = replace(rule, **{name: _checked(name, value) for name, value in values.items()})
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"rule {rule.name}: {error}") from None
    if rule.unit is Unit.STATE and {"threshold", "clear_at"} & values.keys():
        raise ConfigurationError(f"rule {rule.name} is about yes or no: it has no threshold")
    hysteresis = changed.clears_at - changed.threshold
    if (hysteresis < 0) if rule.below else (hysteresis > 0):
        side = "above" if rule.below else "below"
        raise ConfigurationError(f"rule {rule.name}: it must clear at or {side} its threshold of {changed.threshold:g}")
    return changed


def _checked(name: str, value: Any) -> Any:
    if name == "enabled":
        if not isinstance(value, bool):
            raise ValueError(f"enabled must be true or false, not {value!r}")
        return value
    if name == "severity":
        return Severity(value)
    if value is None and name == "clear_at":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ValueError(f"{name} must be a number of at least 0, not {value!r}")
    return float(value)


assert set(EDITABLE) <= {f.name for f in fields(Rule)}
