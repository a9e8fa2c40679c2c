"""What fires, who was told, and what happened: incidents, deliveries, silences, rules, and the event log."""

from __future__ import annotations

import streamlit as st

from panel import actions as access
from panel import format, jobview, widgets
from panel.alerts import actions, eventview, queries, quietview, rulesview, view
from panel.i18n import N_, _
from panel.links import from_address, to_address
from panel.reads import Known
from panel.said import said
from panel.weatherline import weather_line

INCIDENTS, SENT, RULES, EVENTS = "incidents", "sent", "rules", "events"
VIEWS = {INCIDENTS: N_("Incidents"), SENT: N_("Sent"), RULES: N_("Rules"), EVENTS: N_("Events")}
SPANS_S = {"1 h": 3600.0, "6 h": 21_600.0, "24 h": 86_400.0, "7 d": 604_800.0}
TICK_S = 2.0


def draw_live() -> None:
    """What changes by itself; it reads what the agent knows, no store is asked."""
    found = queries.snapshot()
    if found is None:
        st.info(_("The panel is still starting; nothing is known yet."), icon=":material/info:")
        return
    view.answer(found)
    if chosen == SENT:
        view.sent(found)
    else:
        view.fires(found)
        st.subheader(_("Silences and maintenance"), anchor=False)
        quietview.quiets(found)


def draw_rules() -> None:
    found = queries.snapshot()
    if found is None:
        st.info(_("The panel is still starting; nothing is known yet."), icon=":material/info:")
        return
    rulesview.rules_part(found)
    rulesview.summary_part(found)


def draw_events() -> None:
    span = st.segmented_control(
        _("Range"), list(SPANS_S), default="24 h", required=True, key="range", bind="query-params"
    )
    answer = queries.measured(SPANS_S[str(span)])
    if isinstance(answer, Known):
        eventview.event_table(queries.event_rows(answer.value))
    elif answer.pending:
        st.caption(_(":material/hourglass_top: The events are being read."))
    else:
        since = format.clock(answer.since_s, widgets.zone())
        st.warning(_("Unknown since {time}. {why}").format(time=since, why=said(answer.why)), icon=":material/help:")
    jobview.follow(answer.pending, "events")


from_address("view", "view", list(VIEWS), INCIDENTS)
with st.container(horizontal=True, vertical_alignment="center"):
    st.title(_("Alerts"), anchor=False, width="content")
    st.space("stretch")
    chosen = str(
        st.segmented_control(
            _("View"), list(VIEWS), required=True, key="view",
            format_func=lambda each: _(VIEWS[each]), label_visibility="collapsed", wrap=True,
        )
    )  # fmt: skip
    to_address("view", chosen, INCIDENTS)
    st.button(
        _("Send a test alert"), icon=":material/send:", key="send-test", disabled=not access.is_operator(),
        help=_("To every receiver, through the agent that sends real ones."),
        on_click=widgets.perform, args=(actions.send_test,),
    )  # fmt: skip
weather_line()
if chosen == RULES:
    draw_rules()
elif chosen == EVENTS:
    draw_events()
else:
    st.fragment(draw_live, run_every=TICK_S, key="tick")()
    if chosen == INCIDENTS and queries.snapshot() is not None:
        quietview.quiet_form()
