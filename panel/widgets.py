"""The pieces that pages are built from: native Streamlit only. State is an icon and a word, never a mere colour."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from panel import actions, charts, format, queries
from panel.i18n import N_, _, ngettext
from panel.nav import page
from panel.queries import Ack, Event, Overview, ReadPreference, Sample, Store, StoreFacts, StoreState
from panel.verdict import Tone, Verdict, is_current, named, reading_store, roles, writing_store

__all__ = [
    "COLORS", "EVERYWHERE", "LOCAL_ONLY", "READ_WORDS", "STORE_ICONS", "answer_line", "demo_button", "events",
    "headline", "introduction", "lag", "perform", "routing_facts", "routing_form", "start_problem", "store_card",
    "titled", "zone",
]  # fmt: skip

COLORS = {Store.LOCAL: "blue", Store.CLOUD: "violet"}
STORE_ICONS = {Store.LOCAL: ":material/database:", Store.CLOUD: ":material/cloud:"}
STATES = {
    StoreState.UP: (N_("Up"), ":material/check_circle:", "green"),
    StoreState.CATCHING_UP: (N_("Catching up"), ":material/sync:", "orange"),
    StoreState.DOWN: (N_("Down"), ":material/cancel:", "red"),
    StoreState.WIPED: (N_("Lost its data"), ":material/error:", "red"),
    StoreState.UNKNOWN: (N_("Unknown"), ":material/help:", "gray"),
}
TONES = {
    Tone.FINE: (":material/check_circle:", "green"),
    Tone.NOTE: (":material/info:", "blue"),
    Tone.WARNING: (":material/warning:", "orange"),
    Tone.ALARM: (":material/error:", "red"),
}
EVENT_ICONS = {
    "Started": ":material/play_circle:",
    "Stopped": ":material/stop_circle:",
    "StoreDown": ":material/cancel:",
    "StoreUp": ":material/check_circle:",
    "Recovered": ":material/check_circle:",
    "CatchingUp": ":material/sync:",
    "InSync": ":material/done_all:",
    "AuthorityMoved": ":material/swap_horiz:",
    "Degraded": ":material/error:",
    "WipeDetected": ":material/error:",
    "ConflictsArchived": ":material/call_merge:",
    "SettingsChanged": ":material/tune:",
}
READ_WORDS = {
    ReadPreference.LOCAL: N_("Local"), ReadPreference.CLOUD: N_("Cloud"), ReadPreference.FASTEST: N_("Fastest"),
}  # fmt: skip
WRITE_WORDS = {True: N_("Both stores"), False: N_("Local only")}
ACK_WORDS = {Ack.BOTH: N_("Both have it"), Ack.LOCAL: N_("Local has it")}
LOCAL_ONLY = N_(
    "**Local only** stops copying: from then on the cloud store grows out of date and cannot take over without losing "
    "what was written meanwhile. Meant for development."
)
EVERYWHERE = N_("Takes effect in every process within a second, on every machine.")
SHOWN_EVENTS = 6


def zone() -> str | None:
    """The reader's time zone, as the browser says."""
    return st.context.timezone


def perform(action: Callable[..., actions.Outcome], *args: Any, **changes: Any) -> None:
    """Run an action from a button and say what came of it."""
    try:
        outcome = action(*args, **changes)
    except actions.NotAllowed as refusal:
        outcome = actions.Outcome(False, str(refusal))
    if outcome.sentence:
        st.toast(outcome.sentence, icon=":material/check_circle:" if outcome.done else ":material/error:")


def headline(title: str, answer: Verdict) -> None:
    """The page's title with the state of the whole beside it."""
    icon, color = TONES[answer.tone]
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        st.title(title, anchor=False, width="content")
        st.badge(answer.word, icon=icon, color=color)  # type: ignore[arg-type]


def answer_line(answer: Verdict) -> None:
    """The sentence that answers "are we fine?": quiet when we are, a box when something is to be done."""
    text = f"{answer.sentence} {answer.advice}".strip()
    if answer.tone is Tone.ALARM:
        st.error(text, icon=TONES[answer.tone][0])
    elif answer.tone is Tone.WARNING:
        st.warning(text, icon=TONES[answer.tone][0])
    else:
        st.caption(text)


def store_card(snapshot: Overview, store: Store, since_s: float, span: str) -> None:
    """One store: what it does, how it is, where it runs, and four facts with their recent course."""
    facts = snapshot.local if store is Store.LOCAL else snapshot.cloud
    with st.container(border=True, key=f"card-{store}", height="stretch"):
        if facts is None:
            return _no_cloud()
        word, icon, color = STATES[facts.status.state]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{STORE_ICONS[store]} **{titled(store)}**", width="content")
            for role in roles(snapshot)[store]:
                st.badge(role, color=COLORS[store])  # type: ignore[arg-type]
            st.space("stretch")
            st.badge(_(word), icon=icon, color=color)  # type: ignore[arg-type]
        st.caption(_where(facts, snapshot.taken_at_s))
        with st.grid(4, min_column_width=120):
            _facts(snapshot, facts, since_s, span)


def _no_cloud() -> None:
    st.markdown(f"{STORE_ICONS[Store.CLOUD]} **{titled(Store.CLOUD)}**")
    st.caption(_("Not configured. The application runs on the local store alone; there is no second copy of its data."))
    st.page_link(page("setup"), icon=":material/cable:", help=_("The existing data is copied over."))


def _where(facts: StoreFacts, now_s: float) -> str:
    address = facts.status.address.removeprefix("redis://")
    if not is_current(facts, now_s):
        reason = facts.status.reason or facts.status.state.value
        since = _("since {time}").format(time=format.clock(facts.status.since_s, zone()))
        return f"{address} · {reason} · {since}"
    up = _("up {duration}").format(duration=format.duration(facts.uptime_s))
    if facts.clients is None:
        clients = _("clients unknown")
    else:
        clients = ngettext("{n} client", "{n} clients", facts.clients).format(n=f"{facts.clients:,}")
    return " · ".join([address, facts.software or _("software unknown"), up, clients])


def titled(store: Store) -> str:
    """What the reader calls this store, at the beginning of a line."""
    return _("Local") if store is Store.LOCAL else _("Cloud")


def _facts(snapshot: Overview, facts: StoreFacts, since_s: float, span: str) -> None:
    def line(pick: charts.Pick) -> list[float]:
        return charts.sparkline(snapshot.samples, facts.status.store, pick, since_s)

    p50, p99 = line(lambda sample: sample.p50_ms), line(lambda sample: sample.p99_ms)
    keys, memory = line(_keys), line(_memory)
    known = is_current(facts, snapshot.taken_at_s)
    _metric(facts, known, _("Latency p50"), facts.latency_p50_ms, format.latency, p50, _against(p50, span), "area")
    _metric(facts, known, _("Latency p99"), facts.latency_p99_ms, format.latency, p99, _against(p99, span))
    grown = format.change(keys)
    _metric(facts, known, _("Keys"), facts.keys, format.count, keys, (f"{grown or 0:+,.0f}" if grown else "0", span))
    used = format.share(facts.memory_bytes, facts.memory_limit_bytes)
    limit = (
        (used, _("of {whole}").format(whole=format.size(facts.memory_limit_bytes)))
        if used
        else _memory_change(memory, span)
    )
    _metric(facts, known, _("Memory"), facts.memory_bytes, format.size, memory, limit)


def _keys(sample: Sample) -> float | None:
    return sample.keys


def _memory(sample: Sample) -> float | None:
    return sample.memory_bytes


def _against(line: list[float], span: str) -> tuple[str, str]:
    """How the last value differs from the median of the span."""
    middle = sorted(line)[len(line) // 2] if line else 0.0
    percent = round(100 * (line[-1] / middle - 1)) if middle else 0
    return (f"{percent:+d}%" if percent else "0", _("vs {span}").format(span=span))


def _memory_change(line: list[float], span: str) -> tuple[str, str]:
    grown = format.change(line) or 0.0
    return (f"{'-' if grown < 0 else '+'}{format.size(abs(grown))}" if grown else "0", span)


def _metric(
    facts: StoreFacts, known: bool, label: str, value: Any, shown: Callable[[Any], str],
    line: list[float], delta: tuple[str, str], kind: str = "line",
) -> None:  # fmt: skip
    if not known or value is None:
        was = "" if value is None else _(", was {value}").format(value=shown(value))
        since = facts.status.since_s if facts.status.state is not StoreState.UP else facts.observed_at_s
        note = _("since {time}").format(time=format.clock(since, zone())) + was if since else _("not read yet")
        st.metric(label, _(":gray[unknown]"), delta=" ", delta_color="gray", delta_arrow="off", delta_description=note)
        return
    arrow = "off" if label == _("Memory") and facts.memory_limit_bytes else "auto"
    st.metric(
        label, shown(value), delta=0 if delta[0] == "0" else delta[0], delta_description=delta[1],
        delta_color=COLORS[facts.status.store], delta_arrow=arrow,  # type: ignore[arg-type]
        chart_data=line or None, chart_type=kind,  # type: ignore[arg-type]
    )  # fmt: skip


def demo_button() -> None:
    """Start or stop the demo application on the panel's stores."""
    running = queries.demo_running()
    st.button(
        _("Stop demo traffic") if running else _("Start demo traffic"),
        icon=":material/stop:" if running else ":material/play_arrow:", key="demo", disabled=not actions.is_operator(),
        on_click=perform, args=(actions.stop_demo if running else actions.start_demo,),
    )  # fmt: skip


def routing_form(snapshot: Overview, key: str) -> DeltaGenerator:
    """Who answers reads and who gets writes, to be changed and applied. Returns the room left for `routing_facts`."""
    now = snapshot.settings
    fixed = snapshot.cloud is None or not actions.is_operator()
    # The value in force is part of each key: when it is changed elsewhere, the control starts again from it.
    with st.container(border=True, key=f"{key}-routing"):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            read = _choice(_("Read preference"), READ_WORDS, now.read_preference, f"{key}-read", fixed)
            write = _choice(_("Write mode"), WRITE_WORDS, now.write_both, f"{key}-write", fixed)
            ack = _choice(_("Confirm a write when"), ACK_WORDS, now.ack, f"{key}-ack", fixed or not write)
            facts = st.container(width="stretch", key=f"{key}-facts")
            chosen = {"read_preference": read, "write_both": write, "ack": ack}
            changes = {name: value for name, value in chosen.items() if value != getattr(now, name)}
            st.button(
                _("Apply"), icon=":material/check:", type="primary" if changes else "secondary",
                disabled=fixed or not changes, help=_(EVERYWHERE), key=f"{key}-apply",
                on_click=perform, args=(actions.change_settings, queries.live().version), kwargs=changes,
            )  # fmt: skip
        if changes.get("write_both") is False:
            st.warning(_(LOCAL_ONLY), icon=":material/warning:")
        if snapshot.cloud is None:
            st.caption(_("There is nothing to choose while no cloud store is configured."))
    return facts


def _choice(label: str, words: dict[Any, str], current: Any, key: str, disabled: bool) -> Any:
    return st.segmented_control(
        label, list(words), default=current, required=True, format_func=lambda value: _(words[value]),
        key=f"{key}-{current}", disabled=disabled,
    )  # fmt: skip


def routing_facts(snapshot: Overview) -> None:
    """Where reads and writes go at this moment, whatever is preferred."""
    reads, writes = reading_store(snapshot), writing_store(snapshot)
    states = {facts.status.state for facts in (snapshot.local, snapshot.cloud) if facts}
    nowhere = _("a store not known yet") if StoreState.UNKNOWN in states else _("no store now")
    then = ""
    if writes is not None and snapshot.settings.replicated:
        later = StoreState.DOWN in states
        then = (_(", {store} follows when it is back") if later else _(", {store} follows")).format(
            store=named(writes.other)
        )
    read = _("Reads go to {store}").format(store=named(reads) if reads else nowhere)
    written = _("Writes go to {store}").format(store=named(writes) if writes else nowhere)
    st.caption(f":material/call_split: {read}  \n:material/edit_note: {written}{then}")


def lag(snapshot: Overview) -> None:
    """How much of the replication log the other store has not got yet."""
    if snapshot.cloud is None:
        return
    entries, behind = snapshot.status.lag_entries, snapshot.status.lag_s
    target = snapshot.status.authority.other
    if entries is None:
        shown, note = _("unknown"), _("the log could not be read")
    else:
        shown = ngettext("{n} entry", "{n} entries", entries).format(n=f"{entries:,}")
        note = _("{time} behind").format(time=format.seconds(behind))
    st.metric(
        _("Waiting for the {store} store").format(store=named(target)), shown, icon=":material/schedule_send:",
        delta=" ", delta_color="gray", delta_arrow="off",
        delta_description=_("all shipped") if entries == 0 else note,
    )  # fmt: skip


def events(snapshot: Overview) -> None:
    """The latest events, newest first; each opens to say all of it."""
    st.markdown(_("**Events**"))
    shown = [event for event in reversed(snapshot.events) if event.level >= logging.INFO][:SHOWN_EVENTS]
    if not shown:
        st.caption(_("Nothing has happened yet."))
    for number, event in enumerate(shown):
        icon = EVENT_ICONS.get(type(event).__name__, ":material/circle:")
        with st.expander(_event_label(event), type="step", icon=icon, key=f"event-{event.at_s}-{number}"):
            st.caption(f"{format.clock(event.at_s, zone(), with_seconds=True)} · {event.message}")


def _event_label(event: Event) -> str:
    brief = event.message.split(":")[0].split(";")[0]
    brief = brief[:1].upper() + brief[1:]
    color = "red" if event.level >= logging.ERROR else "orange" if event.level >= logging.WARNING else None
    return f"{format.clock(event.at_s, zone())} " + (f":{color}[{brief}]" if color else brief)


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
