"""How each server fares, by its own word: the figures to look at first, and all that INFO says, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from panel import actions, format
from panel.i18n import _
from panel.insights.queries import InfoField, NotOffered, ServerFacts, ServerInsights, server_facts
from panel.insights.view import known_of, refusal, store_frame
from panel.queries import Store
from panel.reads import Answer
from panel.tables import heading, table_height
from panel.widgets import metric, titled, zone

__all__ = ["all_of_it", "facts"]

ROWS = 14
ADDRESSES = ("master_host", "listener0", "listener1")


def facts(store: Store, answer: Answer[ServerInsights]) -> None:
    """The figures to look at first."""
    found = known_of(store, answer, "server", _("Server"))
    if found is None:
        return
    with store_frame(store, _("Server"), "server"):
        if isinstance(found.info, NotOffered):
            return refusal(found.info)
        told = server_facts(found.info)
        with st.grid(3, min_column_width=130):
            _metrics(told)
        for line in (_memory(told), _persistence(told), _replication(told)):
            st.caption(line)


def _metrics(told: ServerFacts) -> None:
    rate = _(format.UNKNOWN) if told.hit_rate is None else f"{format.number(100 * told.hit_rate, '.1f')}%"
    metric(_("Hit rate"), rate, _("of the reads of keys"), _("Reads that found their key, since the start."))
    metric(_("Commands"), format.count(told.commands_per_s), _("a second, now"))
    limit = _("no limit") if told.memory_limit_bytes == 0 else _of(format.size(told.memory_limit_bytes))
    metric(_("Memory"), format.size(told.memory_bytes), limit)
    metric(_("Evicted"), format.count(told.evicted_keys), _("keys, memory was full"))
    metric(_("Expired"), format.count(told.expired_keys), _("keys, at their time"))
    refused = _("{n} refused").format(n=format.count(told.refused_clients))
    metric(_("Clients"), format.count(told.clients), f"{_of(format.count(told.clients_limit))}, {refused}")


def _of(most: str) -> str:
    return _("of {most}").format(most=most)


def _memory(told: ServerFacts) -> str:
    ratio = None if told.fragmentation is None else format.number(told.fragmentation, ".2f")
    return ":material/memory: " + _("Peak {peak}, fragmentation {ratio}, when full: {policy}").format(
        peak=format.size(told.memory_peak_bytes), ratio=ratio or _(format.UNKNOWN),
        policy=format.escaped(told.eviction_policy or _(format.UNKNOWN)),
    )  # fmt: skip


def _persistence(told: ServerFacts) -> str:
    if told.save_failed is None and told.appends is None:
        return ":material/save: " + _("Persistence unknown")
    saved = _("Snapshot of {time}, changes since then: {n}").format(
        time=format.clock(told.saved_at_s, zone()), n=format.count(told.changes_unsaved)
    )
    if told.save_failed:
        saved = f":red[{_('The last snapshot failed')}]"
    log = _("append-only file on") if told.appends else _("append-only file off")
    if told.appends and told.append_failed:
        log = f":red[{_('the last write to the append-only file failed')}]"
    return f":material/save: {saved}; {log}"


def _replication(told: ServerFacts) -> str:
    return ":material/account_tree: " + _("Role {role}, replicas of its own: {n}").format(
        role=format.escaped(told.role or _(format.UNKNOWN)), n=format.count(told.replicas)
    )


def _shown(field: InfoField) -> str:
    """Who may only look sees no machine's address, as in the list of clients."""
    is_address = field.name in ADDRESSES or "ip=" in field.value
    return "***" if is_address and not actions.is_operator() else field.value


def all_of_it(stores: Sequence[Store], answers: Mapping[Store, Answer[ServerInsights]]) -> None:
    """Every field of INFO, in the order of the first store that told it."""
    values: dict[tuple[str, str, int], dict[Store, str]] = {}
    for store in stores:
        known = answers[store].last
        if known is None or isinstance(known.value.info, NotOffered):
            continue
        times = Counter[str]()  # each module has a line of the same name
        for field in known.value.info:
            values.setdefault((field.section, field.name, times[field.name]), {})[store] = _shown(field)
            times[field.name] += 1
    rows = [
        {_("Section"): section, _("Field"): name, **{titled(store): told.get(store, "") for store in stores}}
        for (section, name, _again), told in values.items()
    ]
    with st.container(border=True, key="server-info"):
        heading(_("Everything"), _("as INFO says it"), rows, "server-info")
        if rows:
            st.dataframe(
                pd.DataFrame(rows), hide_index=True, key="server-info-table", height=table_height(len(rows), ROWS)
            )
