"""What happens now: MONITOR, hot keys in a sample of it, channels and their messages. Everything ends by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import streamlit as st

from panel import actions, format, jobview
from panel.i18n import N_, _
from panel.insights import actions as starting
from panel.insights import queries
from panel.insights.queries import Heard, HotKey, ListenLimits, Message, MonitorLine, NotOffered, ServerInsights
from panel.insights.view import STORE_WORDS, refusal
from panel.queries import Job, JobState, Store
from panel.reads import Answer, Known
from panel.said import said
from panel.tables import heading, table_height
from panel.widgets import perform, zone

__all__ = ["monitor_part", "pubsub_part"]

SECONDS = (5, 10, 30, 60)
LINES = (1_000, 5_000, 20_000)
TICK_S = 1.0
ENDINGS = {"seconds": N_("time is up"), "lines": N_("the limit of lines was reached"), "cancelled": N_("cancelled")}


def monitor_part() -> None:
    """The commands that the local server runs, and the keys that they name most."""
    st.subheader("MONITOR", anchor=False)
    st.caption(_(
        "Every command that the local server runs, from all its clients. It makes the server slower while it runs, so "
        "it ends by itself. The cloud store is never monitored: hosted stores do not offer it, and would bill it."
    ))  # fmt: skip
    job = queries.latest(queries.MONITOR_JOB)
    running = job is not None and job.running
    with st.container(horizontal=True, vertical_alignment="bottom"):
        limits = _limits("monitor")
        own = st.toggle(_("hybrid's own keys too"), value=False, key="monitor-own")
        st.button(
            _("Watch"), icon=":material/visibility:", key="start-monitor",
            disabled=running or not actions.is_operator(), on_click=perform, args=(starting.start_monitor, limits, own),
        )  # fmt: skip
    jobview.running_jobs(queries.MONITOR_JOB)
    _follow(queries.MONITOR_JOB, running, _draw_monitor)


def pubsub_part(stores: Sequence[Store], answers: dict[Store, Answer[ServerInsights]]) -> None:
    """Who listens to which channel, and a listener of one's own."""
    st.subheader(_("Channels"), anchor=False)
    with st.grid(2, min_column_width=340):
        for store in stores:
            _channels(store, answers[store])
    job = queries.latest(queries.SUBSCRIBE_JOB)
    running = job is not None and job.running
    with st.container(horizontal=True, vertical_alignment="bottom"):
        pattern = st.text_input(_("Listen to"), value="*", key="channel", bind="query-params", width=190)
        store = st.segmented_control(
            _("Store"), stores, default=Store.LOCAL, required=True, key="channel-store",
            format_func=lambda each: _(STORE_WORDS[each]), wrap=True,
        )  # fmt: skip
        limits = _limits("channel")
        st.button(
            _("Listen"), icon=":material/hearing:", key="start-subscription",
            disabled=running or not pattern or not actions.is_operator(),
            on_click=perform, args=(starting.start_subscription, store, pattern, limits),
        )  # fmt: skip
    _post()
    if store is Store.CLOUD and queries.is_billed(Store.CLOUD) is not False:
        text = _("The service bills every message that arrives: at most {n} of them here.")
        st.warning(text.format(n=format.count(limits.lines)), icon=":material/payments:")
    jobview.running_jobs(queries.SUBSCRIBE_JOB)
    _follow(queries.SUBSCRIBE_JOB, running, _draw_messages)


def _post() -> None:
    fixed = not actions.is_operator()
    with st.form("post", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        channel = st.text_input(_("Post to"), key="post-channel", placeholder=_("channel"), width=190, disabled=fixed)
        text = st.text_input(_("Message"), key="post-text", disabled=fixed)
        if st.form_submit_button(
            _("Post"), icon=":material/send:", disabled=fixed, key="post",
            help=_("On the store that takes the writes, where applications listen."),
        ):  # fmt: skip
            perform(starting.post, channel, text)


def _limits(name: str) -> ListenLimits:
    seconds = st.selectbox(
        _("For"), SECONDS, index=1, format_func=lambda each: f"{each} s", key=f"{name}-seconds", width=95
    )  # fmt: skip
    lines = st.selectbox(_("Lines at most"), LINES, index=0, format_func=format.number, key=f"{name}-lines", width=130)
    return ListenLimits(float(seconds), lines)


def _channels(store: Store, answer: Answer[ServerInsights]) -> None:
    found = answer.last.value if answer.last else None
    known = () if found is None or isinstance(found.channels, NotOffered) else found.channels
    with st.container(border=True, height="stretch", key=f"channels-{store}"):
        rows = [asdict(channel) for channel in known]
        heading(_(STORE_WORDS[store]), _("channels with subscribers"), rows, f"channels-{store}")
        if found is None:
            why = _("The store is being asked.") if isinstance(answer, Known) or answer.pending else said(answer.why)
            st.caption(":material/help: " + why)
        elif isinstance(found.channels, NotOffered):
            refusal(found.channels)
        elif not known:
            st.caption(_("Nobody listens to a channel by its name now."))
        else:
            table = [{_("Channel"): channel.name, _("Subscribers"): channel.subscribers} for channel in known]
            st.dataframe(
                pd.DataFrame(table), hide_index=True, key=f"channels-table-{store}", height=table_height(len(table), 6)
            )


def _follow(kind: str, running: bool, draw: Any) -> None:
    """What a job has heard, growing while it runs: the tables are kept by key, so nothing blinks."""

    def tick() -> None:
        job = queries.latest(kind)
        if job is not None:
            _state(job)
            heard = job.result or job.noted("heard")
            if isinstance(heard, Heard):
                draw(heard)

    st.fragment(tick, run_every=TICK_S if running else None, key=f"follow-{kind}")()


def _state(job: Job) -> None:
    if job.state is JobState.BROKEN:
        st.warning(said(job.problem or ""), icon=":material/error:")
    elif not job.running and isinstance(job.result, Heard):
        when, ending = format.clock(job.finished_at_s, zone(), with_seconds=True), job.result.ending
        text = _("{n} lines until {time}: {ending}.").format(
            n=format.count(job.result.count), time=when, ending=_(ENDINGS.get(ending, ending))
        )
        st.caption(text)


def _draw_monitor(heard: Heard) -> None:
    lines = [line for line in heard.lines if isinstance(line, MonitorLine)]
    left, right = st.columns([3, 2])
    with left, st.container(border=True, height="stretch", key="monitor-lines-frame"):
        rows = [{"at_s": line.at_s, "client": _client(line), "command": line.text} for line in reversed(lines)]
        heading(_("Commands"), _("the latest first"), rows, "monitor")
        if rows:
            table = [
                {_("At"): _at(line.at_s), _("Client"): _client(line), _("Command"): line.text}
                for line in reversed(lines)
            ]
            _table(table, "monitor-lines")
        else:
            st.caption(_("No command was heard."))
    with right, st.container(border=True, height="stretch", key="hot-frame"):
        hot: Sequence[HotKey] = heard.hot
        heading(_("Hot keys"), _("in this sample"), [asdict(key) for key in hot], "hot")
        if hot:
            counted: list[dict[str, Any]] = [
                {_("Key"): key.key, _("Calls"): key.calls, _("Writes"): key.writes} for key in hot
            ]
            _table(counted, "hot-keys")
        else:
            st.caption(_("No command named a key."))


def _client(line: MonitorLine) -> str:
    return line.client if actions.is_operator() else queries.masked_address(line.client)


def _draw_messages(heard: Heard) -> None:
    messages = [line for line in heard.lines if isinstance(line, Message)]
    with st.container(border=True, key="messages-frame"):
        rows = [asdict(message) for message in reversed(messages)]
        heading(_("Messages"), _("the latest first"), rows, "messages")
        if rows:
            _table(
                [{_("At"): _at(row["at_s"]), _("Channel"): row["channel"], _("Message"): row["text"]} for row in rows],
                "messages",
            )
        else:
            st.caption(_("No message was heard."))


def _at(at_s: float) -> str:
    return f"{format.local_time(at_s, zone()):%H:%M:%S.%f}"[:-3]


def _table(rows: list[dict[str, Any]], key: str) -> None:
    st.dataframe(pd.DataFrame(rows), hide_index=True, key=key, height=table_height(len(rows), 10))
