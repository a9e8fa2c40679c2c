"""What a newcomer sees: the explanation of what runs, demo traffic, and the page when nothing could be started."""

from __future__ import annotations

import streamlit as st

from panel import actions, format, queries
from panel.i18n import N_, _
from panel.nav import page
from panel.queries import Overview
from panel.widgets import perform

__all__ = ["demo_button", "introduction", "start_problem"]


def demo_button(snapshot: Overview | None) -> None:
    """Start or stop the demo application on the panel's stores: on the operator's own ones not unasked."""
    if queries.demo_running() or (snapshot is not None and snapshot.embedded):
        return start_or_stop()
    with st.popover(_("Start demo traffic"), icon=":material/play_arrow:", disabled=not actions.is_operator()):
        st.caption(
            _("It is an application of its own, which writes keys `shop:…` to these stores, and leaves them there.")
        )
        if snapshot is not None and snapshot.cloud is not None:
            usd = queries.DEMO_COMMANDS_PER_S * 3600 / 100_000 * snapshot.settings.cloud_price
            st.caption(
                _(
                    "The cloud store gets about {n} commands a second: {price} an hour where commands are billed."
                ).format(n=queries.DEMO_COMMANDS_PER_S, price=format.money(usd))
            )
        start_or_stop()


def start_or_stop() -> None:
    running = queries.demo_running()
    st.button(
        _("Stop demo traffic") if running else _("Start demo traffic"),
        icon=":material/stop:" if running else ":material/play_arrow:", key="demo", disabled=not actions.is_operator(),
        on_click=perform, args=(actions.stop_demo if running else actions.start_demo,),
    )  # fmt: skip


def introduction() -> None:
    """What a newcomer sees on the first day, when nothing is configured: what runs, what it holds, what to press."""
    with st.container(border=True, key="introduction"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(_(":material/waving_hand: **A first look**"), width="content")
            st.space("stretch")
            st.button(_("Got it"), icon=":material/close:", type="tertiary", on_click=actions.dismiss_introduction)
        with st.grid(3, min_column_width=260):
            for part in INTRODUCTION:
                st.caption(_(part))
        st.page_link(page("setup"), icon=":material/cable:")


INTRODUCTION = (
    N_(
        "**What is running.** No store is configured, so the panel started two real servers on this machine: "
        ":blue[**local**], and :violet[**cloud**] behind a link with 60 ms of delay, as a distant one has."
    ),
    N_(
        "**What they hold.** The same keys. A write goes to the local store, and the replication log carries it to the "
        "cloud; when one of them is gone, the other serves alone and fills it up again afterwards."
    ),
    N_(
        "**What to press.** *Start demo traffic* and watch the keys grow. Then *Run the test*: it rehearses an outage "
        "of each store. Then connect stores of your own."
    ),
)


def start_problem() -> None:
    """The page when nothing could be started: the sentence that says what to correct, and a way to try again."""
    st.title(_("The stores could not be started"), anchor=False)
    st.error(queries.start_problem() or "", icon=":material/error:")
    st.caption(_("Correct it in `.env` or in the environment, then try again. The application itself is not affected."))
    st.page_link(page("setup"), icon=":material/cable:")
    st.button(
        _("Try again"), icon=":material/refresh:", type="primary", disabled=not actions.is_operator(),
        on_click=perform, args=(actions.start_agent,),
    )  # fmt: skip
