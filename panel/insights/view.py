"""What a server says about itself, in frames side by side: slow log, commands in use, clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from panel import actions, format
from panel.i18n import N_, _
from panel.insights import actions as acting
from panel.insights import queries
from panel.insights.queries import ClientRow, CommandUse, NotOffered, ServerInsights, SlowCall
from panel.queries import Store
from panel.reads import Answer, Known
from panel.said import said
from panel.tables import ONE_CLICK, clicked, csv_button, numbered, table_height
from panel.widgets import COLORS, STORE_ICONS, perform, zone

__all__ = [
    "ages", "clients", "commands", "frame", "known_of", "refusal", "slow_log", "store_frame", "store_frames",
    "unknown",
]  # fmt: skip

STORE_WORDS = {Store.LOCAL: N_("Local"), Store.CLOUD: N_("Cloud")}
Rows = Sequence[Mapping[str, Any]]
CHOSEN_CLIENT = "clients-chosen-"


def store_frames(stores: Sequence[Store], draw: Callable[[Store], None]) -> None:
    """The same for each store, side by side; below each other on a phone."""
    with st.grid(2, min_column_width=340):
        for store in stores:
            draw(store)


def frame(
    store: Store, title: str, name: str, rows: Rows, note: str = "", beside: Callable[[], None] = lambda: None
) -> Any:
    """A frame of one store with its title and CSV; to be used as a context. `beside` draws what else stands there."""
    box = st.container(border=True, height="stretch", key=f"{name}-{store}")
    with box, st.container(horizontal=True, vertical_alignment="center"):
        with st.container():  # gives way on a narrow screen, where its text alone would push the buttons below it
            _frame_title(store, title, note)
        beside()
        csv_button(rows, f"{name}-{store}", title)
    return box


def store_frame(store: Store, title: str, name: str) -> Any:
    """A frame of one store with its title alone."""
    box = st.container(border=True, height="stretch", key=f"{name}-{store}")
    with box:
        _frame_title(store, title)
    return box


def _frame_title(store: Store, title: str, note: str = "") -> None:
    word = _(STORE_WORDS[store])
    st.markdown(f"{STORE_ICONS[store]} **{title}** :gray[{word}{' · ' if note else ''}{note}]", width="stretch")


def refusal(what: NotOffered) -> None:
    """What a store does not offer is said: an empty table would be a lie."""
    st.caption(f":material/block: {said(what.why)}")


def known_of(store: Store, answer: Answer[ServerInsights], name: str, title: str) -> ServerInsights | None:
    """What is known of the store; without that, a frame that says why nothing is."""
    if answer.last is not None:
        return answer.last.value
    with frame(store, title, name, ()):
        unknown(answer)
    return None


def unknown(answer: Answer[Any], of: str = "") -> None:
    """Why nothing is known; `of` stands before it."""
    if isinstance(answer, Known) or answer.pending:
        st.caption(f":material/hourglass_top: {of}" + _("The store is being asked."))
    else:
        text = _("Unknown since {time}. {why}").format(time=format.clock(answer.since_s, zone()), why=said(answer.why))
        st.caption(f":material/help: {of}{text}")


def ages(answers: Mapping[Store, Answer[Any]]) -> None:
    """When each store said what is shown of it; and since when it says nothing."""
    texts = []
    for store, answer in answers.items():
        known = answer.last
        if known is None:
            continue
        text = _("{store}: as of {time}.").format(
            store=_(STORE_WORDS[store]), time=format.clock(known.at_s, zone(), with_seconds=True)
        )
        if not isinstance(answer, Known) and not answer.pending:
            since = format.clock(answer.since_s, zone())
            text += " " + _("Unknown since {time}. {why}").format(time=since, why=said(answer.why))
        texts.append(text)
    if texts:
        st.caption(f":material/schedule: {' '.join(texts)}")


def slow_log(store: Store, answer: Answer[ServerInsights]) -> None:
    """The slowest calls that the server remembers."""
    title = _("Slow log")
    found = known_of(store, answer, "slow", title)
    if found is None:
        return
    calls = () if isinstance(found.slow_log, NotOffered) else found.slow_log
    note = "" if found.slower_than_ms is None else _("over {limit}").format(limit=format.latency(found.slower_than_ms))

    def emptying() -> None:
        if calls:
            st.button(
                _("Empty it"), icon=":material/delete_sweep:", key=f"slow-empty-{store}", type="tertiary",
                disabled=not actions.is_operator(), on_click=perform, args=(acting.forget_slow_calls, store),
                help=_("The server forgets these calls, so that what is slow from now on stands out."),
            )  # fmt: skip

    with frame(store, title, "slow", [asdict(call) for call in calls], note, emptying):
        if isinstance(found.slow_log, NotOffered):
            return refusal(found.slow_log)
        if not calls:
            st.caption(":material/check_circle: " + _("No call was that slow since the log was last emptied."))
            return
        st.dataframe(
            numbered([_slow_row(call) for call in calls], {_("Took"): (",.1f", " ms")}), hide_index=True,
            key=f"slow-table-{store}",
            height=table_height(len(calls)),
            column_config={
                _("Took"): st.column_config.NumberColumn(width=80),
                _("When"): st.column_config.TextColumn(width=115),
            },
        )  # fmt: skip


def _slow_row(call: SlowCall) -> dict[str, Any]:
    when = format.clock(call.at_s, zone(), with_seconds=True)
    return {_("Took"): call.duration_ms, _("When"): when, _("Command"): call.command, _("Client"): call.client}


def commands(store: Store, answer: Answer[ServerInsights]) -> None:
    """Which commands the server runs, and where its time goes."""
    title = _("Commands in use")
    found = known_of(store, answer, "commands", title)
    if found is None:
        return
    uses = () if isinstance(found.commands, NotOffered) else found.commands
    with frame(store, title, "commands", [asdict(use) for use in uses], _("since its statistics began")):
        if isinstance(found.commands, NotOffered):
            return refusal(found.commands)
        whole_ms = sum(use.total_ms for use in uses) or 1.0
        st.dataframe(
            numbered([_use_row(use, whole_ms) for use in uses], _use_numbers()), hide_index=True,
            key=f"commands-table-{store}", placeholder="–",
            height=table_height(len(uses)),
            column_config={
                _("Calls"): st.column_config.NumberColumn(width=80),
                _("Share of time"): st.column_config.ProgressColumn(
                    format="%.0f%%", min_value=0, max_value=100, width=110, color=COLORS[store]
                ),
                _("Mean"): st.column_config.NumberColumn(width=80),
                "p99": st.column_config.NumberColumn(width=75),
                _("Failed"): st.column_config.NumberColumn(width=65),
            },
        )  # fmt: skip


def _use_row(use: CommandUse, whole_ms: float) -> dict[str, Any]:
    return {
        _("Command"): use.name,
        _("Calls"): use.calls,
        _("Share of time"): round(100 * use.total_ms / whole_ms, 1),
        _("Mean"): use.mean_us,
        "p99": use.p99_us,
        _("Failed"): use.failed + use.rejected,
    }


def _use_numbers() -> Mapping[str, tuple[str, str]]:
    return {
        _("Calls"): (",", ""),
        _("Mean"): (",.1f", " µs"),
        "p99": (",.0f", " µs"),
        _("Failed"): (",", ""),
    }


def clients(store: Store, answer: Answer[ServerInsights]) -> None:
    """Who is connected. Who may only look sees addresses in part."""
    title = _("Clients")
    found = known_of(store, answer, "clients", title)
    if found is None:
        return
    who = () if isinstance(found.clients, NotOffered) else found.clients
    shown = [row if actions.is_operator() else replace(row, address=queries.masked_address(row.address)) for row in who]
    rows = [_client_row(row) for row in shown]
    note = "" if isinstance(found.clients, NotOffered) else format.number(len(shown))
    with frame(store, title, "clients", [asdict(row) for row in shown], note):
        if isinstance(found.clients, NotOffered):
            return refusal(found.clients)
        # With other clients it is another table: its selection must not fall to the one that took a row over.
        grid = f"clients-table-{store}-{hash(tuple(row.id for row in shown))}"
        st.dataframe(
            pd.DataFrame(rows), hide_index=True, key=grid, height=table_height(len(rows), 14),
            on_select=partial(choose_client, grid, store, shown), selection_mode=ONE_CLICK,
        )  # fmt: skip
        cut_off_button(store, st.session_state.get(CHOSEN_CLIENT + store))


def choose_client(grid: str, store: Store, shown: Sequence[ClientRow]) -> None:
    row = clicked(st.session_state[grid]["selection"], len(shown))
    st.session_state[CHOSEN_CLIENT + store] = shown[row] if row is not None else None


def cut_off(store: Store, row: ClientRow) -> None:
    perform(acting.cut_off, store, row.id, row.address)
    st.session_state.pop(CHOSEN_CLIENT + store, None)


def cut_off_button(store: Store, row: ClientRow | None) -> None:
    """Close the connection of the client that is selected."""
    fixed = not actions.is_operator()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            _("Disconnect"), icon=":material/link_off:", key=f"clients-cut-{store}",
            disabled=fixed or row is None, on_click=cut_off, args=(store, row),
        )  # fmt: skip
        if row is None and not fixed:
            st.caption(_("Choose a client to disconnect it."))
        elif row is not None:
            name = format.escaped(" ".join(filter(None, (row.name, row.address))))
            st.caption(_("{client}. Most clients connect again by themselves, hybrid's too.").format(client=name))


def _client_row(row: ClientRow) -> dict[str, Any]:
    return {
        _("Name"): row.name,
        _("Address"): row.address,
        _("Last command"): row.command,
        _("Idle"): format.duration(row.idle_s),
        _("Connected"): format.duration(row.age_s),
        _("Kind"): row.kind,
        _("Library"): row.library,
        _("Memory"): format.size(row.memory_bytes),
        _("User"): row.user,
    }
