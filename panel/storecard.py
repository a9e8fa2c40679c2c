"""One store as a card: what it does, how it is, where it runs, and four facts with their course."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from panel import charts, format
from panel.i18n import N_, _, ngettext
from panel.nav import page
from panel.queries import Overview, Sample, Store, StoreFacts, StoreState
from panel.said import said
from panel.verdict import is_current, is_stranger, roles
from panel.widgets import COLORS, STORE_ICONS, titled, zone

__all__ = ["store_card"]

STATES = {
    StoreState.UP: (N_("Up"), ":material/check_circle:", "green"),
    StoreState.CATCHING_UP: (N_("Catching up"), ":material/sync:", "orange"),
    StoreState.DOWN: (N_("Down"), ":material/cancel:", "red"),
    StoreState.WIPED: (N_("Lost its data"), ":material/error:", "red"),
    StoreState.UNKNOWN: (N_("Unknown"), ":material/help:", "gray"),
}
FILLED = (N_("Being filled"), ":material/sync:", "orange")
EVICTS = N_(
    "Takes any key when its memory is full, hybrid's own too (maxmemory-policy {policy}): set it to noeviction."
)
REFUSES = (N_("Refuses writes"), ":material/block:", "red")
AGED_S = 5.0
"""From when on numbers are told how old they are: beside newer ones of the other store they look like a difference."""

LEFT_ALONE = (N_("Left alone"), ":material/link_off:", "orange")


def store_card(snapshot: Overview, store: Store, since_s: float, span: str) -> None:
    """One store: what it does, how it is, where it runs, and four facts with their recent course."""
    facts = snapshot.local if store is Store.LOCAL else snapshot.cloud
    with st.container(border=True, key=f"card-{store}", height="stretch"):
        if facts is None:
            return _no_cloud()
        word, icon, color = _state(facts)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{STORE_ICONS[store]} **{titled(store)}**", width="content")
            for role in roles(snapshot)[store]:
                st.badge(role, color=COLORS[store])  # type: ignore[arg-type]
            st.space("stretch")
            st.badge(_(word), icon=icon, color=color)  # type: ignore[arg-type]
        st.caption(format.escaped(_where(facts, snapshot.taken_at_s)))
        if facts.evicts_any_key:
            text = _(EVICTS).format(policy=format.escaped(facts.eviction_policy or ""))
            st.caption(f":orange[:material/warning: {text}]")
        with st.grid(4, min_column_width=120):
            _facts(snapshot, facts, since_s, span)


def _state(facts: StoreFacts) -> tuple[str, str, str]:
    if is_stranger(facts):
        return LEFT_ALONE
    if facts.status.refuses or (facts.status.state is StoreState.UP and facts.is_full):
        return REFUSES
    return FILLED if facts.status.is_new else STATES[facts.status.state]


def _no_cloud() -> None:
    st.markdown(f"{STORE_ICONS[Store.CLOUD]} **{titled(Store.CLOUD)}**")
    st.caption(_("Not configured. The application runs on the local store alone; there is no second copy of its data."))
    st.page_link(page("setup"), icon=":material/cable:", help=_("The existing data is copied over."))


def _where(facts: StoreFacts, now_s: float) -> str:
    address = facts.status.address.removeprefix("redis://")
    if not is_current(facts, now_s):
        reason = said(facts.status.reason) or _(STATES[facts.status.state][0])
        if is_stranger(facts):
            reason = _("no pair with the other store yet")
        since = _("since {time}").format(time=format.clock(facts.status.since_s, zone()))
        return f"{address} · {reason} · {since}"
    up = _("up {duration}").format(duration=format.duration(facts.uptime_s))
    if facts.clients is None:
        clients = _("clients unknown")
    else:
        clients = ngettext("{n} client", "{n} clients", facts.clients).format(n=format.number(facts.clients))
    parts = [address, facts.software or _("software unknown"), up, clients]
    if facts.observed_at_s is not None and now_s - facts.observed_at_s > AGED_S:
        parts.append(_("as of {time}").format(time=format.clock(facts.observed_at_s, zone(), with_seconds=True)))
    return " · ".join(parts)


def _facts(snapshot: Overview, facts: StoreFacts, since_s: float, span: str) -> None:
    def line(pick: charts.Pick) -> list[float]:
        return charts.sparkline(snapshot.samples, facts.status.store, pick, since_s)

    p50, p99 = line(lambda sample: sample.p50_ms), line(lambda sample: sample.p99_ms)
    keys, memory = line(_keys), line(_memory)
    known = is_current(facts, snapshot.taken_at_s)
    _metric(facts, known, _("Latency p50"), facts.latency_p50_ms, format.latency, p50, _against(p50, span), "area")
    _metric(facts, known, _("Latency p99"), facts.latency_p99_ms, format.latency, p99, _against(p99, span))
    grown = format.change(keys)
    _metric(
        facts,
        known,
        _("Keys"),
        facts.keys,
        format.count,
        keys,
        (format.number(grown or 0, "+,.0f") if grown else "0", span),
    )
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
    ratio = line[-1] / middle if middle else 1.0
    percent = round(100 * (ratio - 1))
    change = f"× {ratio:.0f}" if percent >= 1000 else f"{percent:+d}%" if percent else "0"
    return (change, _("vs {span}").format(span=span))


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
        if known:
            note = _("the store does not say")
        st.metric(label, _(":gray[unknown]"), delta=" ", delta_color="gray", delta_arrow="off", delta_description=note)
        return
    arrow = "off" if label == _("Memory") and facts.memory_limit_bytes else "auto"
    st.metric(
        label, shown(value), delta=0 if delta[0] == "0" else delta[0], delta_description=delta[1],
        delta_color=COLORS[facts.status.store], delta_arrow=arrow,  # type: ignore[arg-type]
        chart_data=line or None, chart_type=kind,  # type: ignore[arg-type]
    )  # fmt: skip
