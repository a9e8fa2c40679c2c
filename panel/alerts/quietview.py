"""Silences and maintenance windows: what is not told, and a form for more of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from panel import actions as access
from panel import format, widgets
from panel.alerts import actions, queries
from panel.alerts.queries import Snapshot
from panel.alerts.words import RULES, rule_word
from panel.i18n import _

__all__ = ["quiet_form", "quiets"]

SPANS_S = {"30 min": 1800.0, "1 h": 3600.0, "4 h": 14_400.0, "8 h": 28_800.0, "1 d": 86_400.0, "7 d": 604_800.0}


def quiets(found: Snapshot) -> None:
    """What is not told now or later."""
    zone = widgets.zone()
    for quiet in found.quiets:
        about = ", ".join(map(rule_word, quiet.rules)) or _("everything")
        about += f" ({format.escaped(_(quiet.subject))})" if quiet.subject else ""
        kind = _("Maintenance") if quiet.maintenance else _("Silence")
        span = _("from {start} until {end}, by {author}").format(
            start=format.clock(quiet.from_s, zone), end=format.clock(quiet.until_s, zone), author=quiet.author
        )
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"quiet-{quiet.id}"):
            reason = f" · {format.escaped(quiet.reason)}" if quiet.reason else ""
            icon = ":material/construction:" if quiet.maintenance else ":material/notifications_off:"
            st.markdown(f"{icon} **{kind}**: {about} · {span}{reason}", width="stretch")
            st.button(
                _("End now"), key=f"end-{quiet.id}", disabled=not access.is_operator(),
                on_click=widgets.perform, args=(actions.end_quiet, quiet.id),
            )  # fmt: skip


def quiet_form() -> None:
    """Silence from now on, or a window planned ahead."""
    with st.expander(_("Silence, or plan maintenance"), icon=":material/notifications_off:"):
        _fields()


def _fields() -> None:
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
            format_func=lambda each: _(each) if each else _("both"),
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
