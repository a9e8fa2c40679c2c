"""What is in each store: biggest keys, namespaces, time to live, hot keys, from a scan that an operator starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import streamlit as st

from panel import actions, format
from panel.charts import STORE_COLORS
from panel.i18n import N_, _
from panel.insights import actions as starting
from panel.insights import queries
from panel.insights.queries import Keyspace, KeyUse, NamespaceUse, NotOffered, ScanLimits
from panel.insights.view import STORE_WORDS, frame, refusal
from panel.queries import JobState, Store
from panel.repair.pieces import type_word
from panel.said import said
from panel.tables import numbered, table_height
from panel.widgets import COLORS, STORE_ICONS, perform, zone

__all__ = ["choose_depth", "results", "scan_frame"]

ALL = 0
MEASURED = (ALL, 1_000, 10_000, 100_000)
SPANS = (
    N_("under 1 min"),
    N_("under 1 h"),
    N_("under 1 d"),
    N_("under 7 d"),
    N_("under 30 d"),
    N_("longer"),
    N_("never"),
)
ENDINGS = {"cancelled": N_("cancelled before the end"), "out of time": N_("ended by its time limit, before the end")}
NO_PREFIX = N_("(no prefix)")
CHART_PX = 230


def choose_depth() -> int:
    """How much of a name is its namespace."""
    depth = st.segmented_control(
        _("Parts of a namespace"), (1, 2, 3), default=1, required=True, key="depth", bind="query-params",
        help=_("A namespace is the beginning of a name: its first part, up to a colon, or more of them."),
    )  # fmt: skip
    return depth or 1


def choose_measured(store: Store) -> int | None:
    """How many keys are measured: by default all where a command costs nothing, else a sample. None stands for all."""
    default = ALL if queries.is_billed(store) is False else 10_000
    measured = st.selectbox(
        _("Keys to measure"), MEASURED, index=MEASURED.index(default), key=f"measure-{store}", bind="query-params",
        format_func=lambda number: format.number(number) if number else _("All of them"), width=150,
        help=_("All names are counted; memory and expiry are read of so many keys. A sample can miss the biggest."),
    )  # fmt: skip
    return measured or None


def scan_frame(store: Store, depth: int) -> None:
    """The button that starts a scan, with its cost said before."""
    billed = queries.is_billed(store)
    job = queries.latest(queries.SCAN_JOBS[store])
    with st.container(border=True, height="stretch", key=f"scan-{store}"):
        st.markdown(f"{STORE_ICONS[store]} **{_(STORE_WORDS[store])}** :gray[{_scanned(store)}]")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            limits = ScanLimits(measured=choose_measured(store), depth=depth)
            st.button(
                _("Scan"), icon=":material/search:", key=f"start-scan-{store}",
                disabled=not actions.is_operator() or (job is not None and job.running),
                on_click=perform, args=(starting.start_scan, store, limits),
            )  # fmt: skip
        cost = queries.estimate(store, limits)
        if cost is None:
            st.caption(_("How many keys it holds is not known now, nor what a scan would cost."))
        elif billed is False:
            st.caption(_("At most {n} commands. This store does not bill them.").format(n=format.count(cost.commands)))
        else:
            text = _("At most {n} commands, about {usd}: the service bills each one. Measure fewer keys to pay less.")
            st.caption(text.format(n=format.count(cost.commands), usd=format.money(cost.usd)))
        if job is not None and job.state is JobState.BROKEN:
            st.warning(said(job.problem or ""), icon=":material/error:")


def _scanned(store: Store) -> str:
    found = queries.keyspace(store)
    if found is None:
        return _("not scanned since the panel was started")
    text = _("{scanned} of {keys} keys, {measured} measured, at {time}").format(
        scanned=format.count(found.scanned), keys=format.count(found.keys), measured=format.count(found.measured),
        time=format.clock(found.at_s, zone()),
    )  # fmt: skip
    return f"{text}; {_(ENDINGS[found.ending])}" if found.ending in ENDINGS else text


def results(stores: Sequence[Store]) -> None:
    """Topic by topic, both stores side by side, as far as they were scanned."""
    scanned = [(store, found) for store in stores if (found := queries.keyspace(store)) is not None]
    for draw in (_biggest, _namespaces, _expiry, _hottest):
        with st.grid(2, min_column_width=340):
            for store, found in scanned:
                draw(store, found)


def _biggest(store: Store, found: Keyspace) -> None:
    keys = () if isinstance(found.biggest, NotOffered) else found.biggest
    with frame(store, _("Biggest keys"), "biggest", [asdict(key) for key in keys], _measured(found)):
        if isinstance(found.biggest, NotOffered):
            return refusal(found.biggest)
        if not found.whole:
            text = _("{n} keys were not measured: a bigger one may be among them. *All* finds it.")
            missed = format.number(max(0, found.keys - found.measured))
            st.caption(f":material/help: {text.format(n=missed)}")
        _keys_table(keys, store, "biggest", {_("Memory"): lambda key: format.size(key.size_bytes)})


def _measured(found: Keyspace) -> str:
    """Whether what is shown is of all keys, or of how many."""
    words = _("of all {n} keys") if found.whole else _("of {n} measured")
    return words.format(n=format.number(found.measured))


def _hottest(store: Store, found: Keyspace) -> None:
    keys = () if isinstance(found.hottest, NotOffered) else found.hottest
    with frame(store, _("Hot keys"), "hottest", [asdict(key) for key in keys], _("as the store counts accesses")):
        if isinstance(found.hottest, NotOffered):
            refusal(found.hottest)
            if store is Store.LOCAL:
                st.caption(_("A sample of live commands finds them too: see *Live*."))
            return
        _keys_table(keys, store, "hottest", {_("Frequency"): lambda key: key.frequency})


def _keys_table(keys: Sequence[KeyUse], store: Store, name: str, value: dict[str, Any]) -> None:
    if not keys:
        st.caption(_("No key was measured: the store is empty."))
        return
    rows = [
        {
            _("Key"): key.key,
            **{title: pick(key) for title, pick in value.items()},
            _("Type"): type_word(key.type) if key.type else _("gone meanwhile"),
            _("Length"): key.length,
            _("Expires in"): _("never") if key.ttl_s is None else format.duration(key.ttl_s),
        }
        for key in keys
    ]
    config = {
        _("Key"): st.column_config.TextColumn(width=200),
        _("Length"): st.column_config.NumberColumn(width=80),
    }
    st.dataframe(
        numbered(rows, {_("Length"): (",", "")}), hide_index=True,
        key=f"{name}-table-{store}", placeholder="–", height=table_height(len(rows)),
        column_config=config,
    )  # fmt: skip


def _namespaces(store: Store, found: Keyspace) -> None:
    spaces = found.namespaces
    with frame(
        store,
        _("Namespaces"),
        "namespaces",
        [asdict(space) for space in spaces],
        _("memory measured") if found.whole else _("memory estimated"),
    ):
        if not spaces:
            st.caption(_("There is no key."))
            return
        known = [space.memory_bytes for space in spaces if space.memory_bytes is not None]
        whole = sum(known) or 1
        st.dataframe(
            numbered(
                [_space_row(space, whole) for space in spaces], dict.fromkeys((_("Keys"), _("Measured")), (",", ""))
            ),
            hide_index=True, key=f"spaces-table-{store}", placeholder="–",
            height=table_height(len(spaces)),
            column_config={
                _("Keys"): st.column_config.NumberColumn(width=80),
                _("Share"): st.column_config.ProgressColumn(
                    format="%.0f%%", min_value=0, max_value=100, width=110, color=COLORS[store],
                ),
                _("Measured"): st.column_config.NumberColumn(width=85),
            },
        )  # fmt: skip


def _space_row(space: NamespaceUse, whole: int) -> dict[str, Any]:
    return {
        _("Prefix"): _(space.name) if space.name == NO_PREFIX else space.name,
        _("Keys"): space.keys,
        _("Memory"): format.size(space.memory_bytes),
        _("Share"): None if space.memory_bytes is None else round(100 * space.memory_bytes / whole, 1),
        _("Measured"): space.measured,
    }


def _expiry(store: Store, found: Keyspace) -> None:
    rows = [{"time_left": name, "keys": keys} for name, keys in zip(SPANS, found.ttls, strict=True)]
    with frame(store, _("Time to live"), "expiry", rows, _measured(found)):
        if not found.measured:
            st.caption(_("No key was measured: the store is empty."))
            return
        st.echarts_chart(
            _expiry_figure(found, store), key=f"expiry-chart-{store}", height=CHART_PX, alt=_("Keys by time to live")
        )


def _expiry_figure(found: Keyspace, store: Store) -> dict[str, Any]:
    shares = [100 * keys / found.measured for keys in found.ttls]
    names, texts = [_(name) for name in SPANS], [f"{format.number(share, '.1f')}%" for share in shares]
    bars = [
        {"value": share, "label": {"formatter": text}, "tooltip": {"formatter": f"{name}: {text}"}}
        for share, name, text in zip(shares, names, texts, strict=True)
    ]
    return {
        "animation": False,
        "grid": {"left": 8, "right": 52, "top": 4, "bottom": 4, "containLabel": True},
        "xAxis": {"type": "value", "max": 100, "show": False},
        "yAxis": {
            "type": "category", "data": names, "inverse": True,
            "axisTick": {"show": False}, "axisLine": {"show": False},
        },
        "series": [{
            "type": "bar", "data": bars, "color": STORE_COLORS[store], "barMaxWidth": 14,
            "label": {"show": True, "position": "right", "color": "#7d8aa3"},
        }],
        "tooltip": {"trigger": "item"},
    }  # fmt: skip
