"""The parts of the page Alerts: native Streamlit only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from panel import actions as access
from panel import format, widgets
from panel.alerts import actions, queries
from panel.alerts.queries import DeliveryState, Incident, IncidentState, Severity, Snapshot, Unit
from panel.i18n import N_, _, ngettext

__all__ = ["answer", "event_table", "fires", "quiet_part", "rules_part", "sent", "summary_part"]

SEVERITIES = {
    Severity.CRITICAL: (N_("Critical"), ":material/error:", "red"),
    Severity.WARNING: (N_("Warning"), ":material/warning:", "orange"),
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
SPANS_S = {"30 min": 1800.0, "1 h": 3600.0, "4 h": 14_400.0, "8 h": 28_800.0, "1 d": 86_400.0, "7 d": 604_800.0}


def rule_word(name: str) -> str:
    return _(RULES.get(name, name))


def named(rule: str, subject: str) -> str:
    return f"{rule_word(rule)}: {subject}" if subject else rule_word(rule)


# -- what fires


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
            _("Found"): incident.text,
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
            _incident_buttons(incident)
        st.markdown(incident.text)
        st.caption(_incident_note(incident))


def _incident_note(incident: Incident) -> str:
    since = _("Since {time}").format(time=format.clock(incident.opened_s, widgets.zone(), with_seconds=True))
    by = _("{person} takes care of it").format(person=incident.acknowledged_by) if incident.acknowledged_by else ""
    return " · ".join(part for part in (since, by, f"`{incident.id}`") if part)


def _incident_buttons(incident: Incident) -> None:
    viewer = not access.is_operator()
    st.button(
        _("Acknowledge"), icon=":material/how_to_reg:", key=f"ack-{incident.id}",
        disabled=viewer or incident.state is not IncidentState.OPEN, help=_("You take care of it: no more reminders."),
        on_click=widgets.perform, args=(actions.acknowledge, incident.id),
    )  # fmt: skip
    st.button(
        _("Silence for 1 h"), icon=":material/notifications_off:", key=f"silence-{incident.id}", disabled=viewer,
        help=_("Nothing of this rule is told for an hour; its recovery is, if its alert was."),
        on_click=widgets.perform, args=(actions.silence, 3600.0, (incident.rule,), incident.subject, ""),
    )  # fmt: skip


# -- what was sent


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


# -- silences and maintenance


def quiet_part(found: Snapshot) -> None:
    """What is not told now or later, and a form for more of it."""
    zone = widgets.zone()
    for quiet in found.quiets:
        about = ", ".join(map(rule_word, quiet.rules)) or _("everything")
        about += f" ({quiet.subject})" if quiet.subject else ""
        kind = _("Maintenance") if quiet.maintenance else _("Silence")
        span = _("from {start} until {end}, by {author}").format(
            start=format.clock(quiet.from_s, zone), end=format.clock(quiet.until_s, zone), author=quiet.author
        )
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"quiet-{quiet.id}"):
            reason = f" · {quiet.reason}" if quiet.reason else ""
            icon = ":material/construction:" if quiet.maintenance else ":material/notifications_off:"
            st.markdown(f"{icon} **{kind}**: {about} · {span}{reason}", width="stretch")
            st.button(
                _("End now"), key=f"end-{quiet.id}", disabled=not access.is_operator(),
                on_click=widgets.perform, args=(actions.end_quiet, quiet.id),
            )  # fmt: skip
    with st.expander(_("Silence, or plan maintenance"), icon=":material/notifications_off:"):
        _quiet_form()


def _quiet_form() -> None:
    planned = st.segmented_control(
        _("Kind"), [False, True], default=False, required=True, key="quiet-kind",
        format_func=lambda each: _("Maintenance window") if each else _("Silence from now on"),
    )  # fmt: skip
    from_s = datetime.now(UTC).timestamp()
    rules: list[str] = []
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if planned:
            from_s = _begin()
        else:
            rules = st.multiselect(
                _("Rules"), list(RULES), format_func=rule_word, key="quiet-rules", placeholder=_("All of them")
            )
        span = st.selectbox(_("For"), list(SPANS_S), index=1, key="quiet-for", width=110)
        subject = st.selectbox(
            _("Store"), ["", *(str(store) for store in queries.Store)], key="quiet-store", width=130,
            format_func=lambda each: each or _("both"),
        )  # fmt: skip
        reason = st.text_input(_("Reason"), key="quiet-reason", placeholder=_("so that others know"))
        for_s = SPANS_S[span]
        call = (
            (actions.plan_maintenance, from_s, from_s + for_s, subject, reason)
            if planned
            else (actions.silence, for_s, tuple(rules), subject, reason)
        )
        st.button(
            _("Plan") if planned else _("Silence"), key="quiet-go", type="primary", disabled=not access.is_operator(),
            on_click=widgets.perform, args=call,
        )  # fmt: skip


def _begin() -> float:
    zone = ZoneInfo(widgets.zone() or "UTC")
    now = datetime.now(zone).replace(tzinfo=None, second=0, microsecond=0)
    chosen = st.datetime_input(_("Begins"), now + timedelta(minutes=10), key="quiet-from", width=220)
    return chosen.replace(tzinfo=zone).timestamp()


# -- rules


def rules_part(found: Snapshot) -> None:
    """Every rule as a row to be edited; what differs is applied by a button."""
    viewer = not access.is_operator()
    st.caption(
        _(
            "A rule raises when its number is beyond the threshold for a while, and clears when it is back within the "
            "second one for a while: in between nothing changes, so that what hovers does not ring twice."
        )
    )
    table = pd.DataFrame([_rule_row(row.rule) for row in found.rules])
    fixed = ["rule", "unit", "raises", *([*table.columns] if viewer else [])]
    # The values in force are part of the key: when they are changed elsewhere, the table starts again from them.
    version = max((row.change.at_s for row in found.rules if row.change), default=0.0)
    edited = st.data_editor(
        table, hide_index=True, key=f"rules-{version}", disabled=fixed, num_rows="fixed", column_config=_columns(),
        height="content", placeholder="",
    )  # fmt: skip
    changes = changed_values(found, edited.to_dict("records"))
    changed = [row for row in found.rules if row.change and row.change.values]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            _("Apply"), icon=":material/check:", key="rules-apply", type="primary" if changes else "secondary",
            disabled=viewer or not changes, on_click=widgets.perform, args=(actions.change_rules, changes),
        )  # fmt: skip
        for row in changed:
            assert row.change is not None
            st.button(
                _("Reset: {rule}").format(rule=rule_word(row.rule.name)), key=f"reset-{row.rule.name}", disabled=viewer,
                type="tertiary", help=_("Changed by {author}").format(author=row.change.author),
                on_click=widgets.perform, args=(actions.reset_rule, row.rule.name),
            )  # fmt: skip


def _columns() -> dict[str, Any]:
    number = st.column_config.NumberColumn
    return {
        "rule": st.column_config.TextColumn(_("Rule"), pinned=True),
        "enabled": st.column_config.CheckboxColumn(_("On")),
        "severity": st.column_config.SelectboxColumn(_("Severity"), options=[*map(str, Severity)], required=True),
        "raises": st.column_config.TextColumn(_("Raises")),
        "threshold": number(_("at"), min_value=0.0),
        "clear_at": number(_("Clears at"), min_value=0.0),
        "unit": st.column_config.TextColumn(_("Unit")),
        "raise_after_s": number(_("Raises after, s"), min_value=0.0, required=True),
        "clear_after_s": number(_("Clears after, s"), min_value=0.0, required=True),
        "remind_after_h": number(_("Reminds after, h"), min_value=0.0, required=True),
    }


def _rule_row(rule: queries.Rule) -> dict[str, Any]:
    scale = 100.0 if rule.unit is Unit.SHARE else 1.0
    states = rule.unit is Unit.STATE
    return {
        "rule": rule_word(rule.name),
        "enabled": rule.enabled,
        "severity": str(rule.severity),
        "raises": _("when it is so") if states else _("below") if rule.below else _("above"),
        "threshold": None if states else round(rule.threshold * scale, 6),
        "clear_at": None if states else round(rule.clears_at * scale, 6),
        "unit": _(UNITS[rule.unit]),
        "raise_after_s": rule.raise_after_s,
        "clear_after_s": rule.clear_after_s,
        "remind_after_h": round(rule.remind_after_s / 3600.0, 6),
    }


def changed_values(found: Snapshot, edited: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the edited rows change, by rule and as the library names it."""
    changes: dict[str, dict[str, Any]] = {}
    for row, after in zip(found.rules, edited, strict=True):
        before, scale = _rule_row(row.rule), 100.0 if row.rule.unit is Unit.SHARE else 1.0
        for name in ("enabled", "severity", "threshold", "clear_at", "raise_after_s", "clear_after_s"):
            value = after[name]
            if value is None or value != value or value == before[name]:
                continue
            scaled = value / scale if name in ("threshold", "clear_at") else value
            changes.setdefault(row.rule.name, {})[name] = scaled
        if after["remind_after_h"] != before["remind_after_h"]:
            changes.setdefault(row.rule.name, {})["remind_after_s"] = after["remind_after_h"] * 3600.0
    return changes


def summary_part(found: Snapshot) -> None:
    """The daily summary: when, or not at all."""
    minute = found.summary_minute
    with st.container(border=True, horizontal=True, vertical_alignment="bottom", key="summary"):
        wanted = st.toggle(_("Daily summary"), value=minute is not None, key=f"summary-on-{minute}")
        chosen = st.time_input(
            _("At (UTC)"), time((minute or 480) // 60, (minute or 480) % 60), key=f"summary-at-{minute}",
            disabled=not wanted, width=140, step=900,
        )  # fmt: skip
        asked = chosen.hour * 60 + chosen.minute if wanted and chosen is not None else None
        st.button(
            _("Save"), key="summary-save", disabled=not access.is_operator() or asked == minute,
            on_click=widgets.perform, args=(actions.set_summary, asked),
        )  # fmt: skip


# -- the event log


def event_table(rows: list[queries.EventRow]) -> None:
    """All events of all processes that the filters let through, newest first."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        levels = sorted({row["level"] for row in rows})
        kinds = sorted({row["event"] for row in rows})
        processes = sorted({row["process"] for row in rows})
        usual = [each for each in levels if each != "debug"]
        level = st.multiselect(_("Level"), levels, usual, key="event-level", placeholder=_("All"))
        kind = st.multiselect(_("Event"), kinds, key="event-kind", placeholder=_("All"))
        process = st.multiselect(_("Process"), processes, key="event-process", placeholder=_("All"))
        text = st.text_input(_("Text"), key="event-text", placeholder=_("in the message"), type="search")
    found = [
        row
        for row in reversed(rows)
        if (not level or row["level"] in level)
        and (not kind or row["event"] in kind)
        and (not process or row["process"] in process)
        and (not text or text.lower() in row["message"].lower())
    ]
    shown = ngettext("{n} event", "{n} events", len(found)).format(n=len(found))
    st.caption(_("{shown} of {all}. Kept on the local store for 8 days.").format(shown=shown, all=len(rows)))
    if not found:
        return
    zone = widgets.zone()
    table = [
        {
            _("When"): format.clock(row["at_s"], zone, with_seconds=True),
            _("Level"): row["level"],
            _("Event"): row["event"],
            _("Message"): row["message"],
            _("Process"): row["process"],
        }
        for row in found
    ]
    st.dataframe(pd.DataFrame(table), hide_index=True, key="events")
