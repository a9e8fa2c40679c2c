"""What fires, and what was sent: native Streamlit only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd
import streamlit as st

from panel import actions as access
from panel import format, widgets
from panel.alerts import actions, queries
from panel.alerts.queries import DeliveryState, Incident, IncidentState, Severity, Snapshot
from panel.alerts.words import DELIVERIES, SEVERITIES, STATES, named
from panel.i18n import _, ngettext
from panel.nav import page
from panel.said import said

__all__ = ["answer", "fires", "sent"]

WHERE: Mapping[str, tuple[str, dict[str, str]]] = MappingProxyType(
    {
        "divergence": ("diff", {}),
        "conflicts": ("sync", {"section": "conflicts"}),
        "lag": ("sync", {}),
        "log_folded": ("sync", {}),
        "memory": ("insights", {"show": "keys"}),
        "budget_near": ("measurements", {}),
        "budget_over": ("measurements", {}),
    }
)
"""Where on the panel something can be done about what a rule found: page, and what its address says."""


def answer(found: Snapshot) -> None:
    """One sentence: does anything fire, and does anybody hear of it?"""
    firing = len(found.firing)
    if not firing:
        st.success(_("Nothing fires."), icon=":material/check_circle:")
    else:
        words = ngettext("{n} incident is open.", "{n} incidents are open.", firing).format(n=firing)
        worst = any(each.severity is Severity.CRITICAL for each in found.firing)
        (st.error if worst else st.warning)(words, icon=SEVERITIES[Severity.CRITICAL if worst else Severity.WARNING][1])
    if found.failing:
        row = found.failing[0]
        st.warning(
            _("{receiver} did not take a message: {error}").format(receiver=row.receiver, error=row.delivery.error),
            icon=":material/send:",
        )
    st.caption(_sender(found))


def _sender(found: Snapshot) -> str:
    if not found.receivers:
        return _(
            ":material/notifications_off: This panel has nobody to tell: set `HYBRID_ALERT_URLS` in `.env` to one or "
            "more Apprise URLs (e-mail, Slack, ...), for agents and panels alike."
        )
    names = ", ".join(f"`{name}`" for name in found.receivers)
    if found.active:
        return _(":material/send: This panel watches and sends, to {names}.").format(names=names)
    return _(":material/hourglass: Another agent watches and sends; this panel stands by, for {names}.").format(
        names=names
    )


def fires(found: Snapshot) -> None:
    """Every active incident with what can be done about it, then what is over."""
    for incident in found.firing:
        _incident(found, incident)
    over = [incident for incident in found.incidents if not incident.is_active]
    st.subheader(_("What is over"), anchor=False)
    if not over:
        st.caption(_("Nothing has fired yet."))
        return
    zone = widgets.zone()
    rows = [
        {
            _("What"): named(*incident.key),
            _("Severity"): _(SEVERITIES[incident.severity][0]),
            _("Since"): format.clock(incident.opened_s, zone),
            _("Lasted"): queries.length(incident.resolved_s - incident.opened_s),
            _("Taken care of by"): incident.acknowledged_by,
            _("Found"): format.sentence(said(incident.text)),
            _("Incident"): incident.id,
        }
        for incident in over
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="incidents-over")


def _incident(found: Snapshot, incident: Incident) -> None:
    severity, icon, color = SEVERITIES[incident.severity]
    state, state_icon, state_color = STATES[incident.state]
    with st.container(border=True, key=f"incident-{incident.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{icon} **{named(*incident.key)}**", width="content")
            st.badge(_(severity), color=color)  # type: ignore[arg-type]
            st.badge(_(state), icon=state_icon, color=state_color)  # type: ignore[arg-type]
            if not incident.told:
                st.badge(_("Not told: silenced"), icon=":material/notifications_off:", color="gray")
            st.space("stretch")
            _incident_buttons(found, incident)
        st.markdown(format.sentence(said(incident.text)))
        advice = found.advice(incident)
        if advice:
            st.markdown(f":material/arrow_forward: {said(advice)}")
        if incident.rule in WHERE:
            name, query = WHERE[incident.rule]
            st.page_link(page(name), icon=page(name).icon, query_params=query)
        st.caption(_incident_note(incident))


def _incident_note(incident: Incident) -> str:
    since = _("Since {time}").format(time=format.clock(incident.opened_s, widgets.zone(), with_seconds=True))
    by = _("{person} takes care of it").format(person=incident.acknowledged_by) if incident.acknowledged_by else ""
    return " · ".join(part for part in (since, by, f"`{incident.id}`") if part)


def _incident_buttons(found: Snapshot, incident: Incident) -> None:
    viewer = not access.is_operator()
    st.button(
        _("Acknowledge"), icon=":material/how_to_reg:", key=f"ack-{incident.id}",
        disabled=viewer or incident.state is not IncidentState.OPEN, help=_("You take care of it: no more reminders."),
        on_click=widgets.perform, args=(actions.acknowledge, incident.id),
    )  # fmt: skip
    st.button(
        _("Silence for 1 h"), icon=":material/notifications_off:", key=f"silence-{incident.id}",
        disabled=viewer or found.is_quiet(incident),
        help=_("Nothing of this rule is told for an hour; its recovery is, if its alert was."),
        on_click=widgets.perform, args=(actions.silence, 3600.0, (incident.rule,), incident.subject, ""),
    )  # fmt: skip


def sent(found: Snapshot) -> None:
    """Messages by receiver, newest first."""
    if not found.deliveries:
        st.caption(_("Nothing was sent yet."))
        return
    zone = widgets.zone()
    rows = [
        {
            _("When"): format.clock(row.message.made_s, zone, with_seconds=True),
            _("Receiver"): row.receiver or _("nobody yet"),
            _("Result"): _(DELIVERIES[row.delivery.state]),
            _("Attempts"): row.delivery.attempts,
            _("Message"): row.message.title,
            _("Why it failed"): row.delivery.error,
            _("Next attempt"): _next_attempt(row.delivery, zone),
        }
        for row in found.deliveries
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="deliveries")


def _next_attempt(delivery: queries.Delivery, zone: str | None) -> str:
    failed = delivery.state is DeliveryState.FAILED
    return format.clock(delivery.next_s, zone, with_seconds=True) if failed else ""
