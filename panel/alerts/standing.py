"""What fires although the stores' states show nothing of it: the first page says so, or all would seem to be fine."""

from __future__ import annotations

from panel import format
from panel.alerts.queries import IncidentState, Severity, Snapshot
from panel.alerts.words import named
from panel.i18n import _, ngettext
from panel.said import said
from panel.verdict import Tone, Verdict

__all__ = ["with_incidents"]

SEEN = ("no_store", "store_down", "wiped", "conflicts")
"""Rules about what the verdict itself tells, and sooner."""


def with_incidents(found: Verdict, known: Snapshot | None) -> Verdict:
    """`found`, unless it says that all is well while an incident is open that nobody takes care of."""
    if found.tone is not Tone.FINE or known is None:
        return found
    firing = [each for each in known.firing if each.state is IncidentState.OPEN and each.rule not in SEEN]
    if not firing:
        return found
    sentence = ngettext(
        "The stores answer, but {n} incident is open: {names}.",
        "The stores answer, but {n} incidents are open: {names}.",
        len(firing),
    ).format(n=format.number(len(firing)), names=", ".join(named(*each.key) for each in firing))
    advice = format.sentence(said(text)) if len(firing) == 1 and (text := known.advice(firing[0])) else ""
    tone = Tone.ALARM if any(each.severity is Severity.CRITICAL for each in firing) else Tone.WARNING
    return Verdict(tone, _("Incident"), sentence, advice, "alerts")
