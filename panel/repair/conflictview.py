"""The conflict archive: which keys were written on both stores while apart, both values, and what to do about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

import pandas as pd
import streamlit as st

from panel import actions, format
from panel.i18n import N_, _
from panel.nav import page
from panel.queries import Overview, Store
from panel.repair import conflictactions as repair
from panel.repair import queries
from panel.repair.links import key_text
from panel.repair.pieces import missing, store_heading, store_name, tinted
from panel.repair.queries import Conflict
from panel.repair.syncview import snapshot_blocks
from panel.said import said
from panel.tables import ONE_CLICK, clicked
from panel.widgets import perform, zone

__all__ = ["conflicts", "value_rows"]

SHOWN_ROWS = 200
SHOWN_CHARS = 300
PAIRS = {b"HSET": 2, b"HMSET": 2}
MEMBERS = {b"SADD", b"RPUSH", b"LPUSH"}


def conflicts(snapshot: Overview | None) -> None:
    """The archive, page by page; one of its entries with both values."""
    if snapshot is None or snapshot.cloud is None:
        st.caption(_("There can be no conflicts with one store."))
        return
    st.caption(_(INTRODUCTION))
    pages: list[str] = st.session_state.setdefault("conflict-pages", [])
    found = queries.conflicts(pages[-1] if pages else None)
    blocked = snapshot_blocks(snapshot)
    if blocked:
        st.caption(_("The archive cannot be read while the store that takes writes does not answer."))
    else:
        missing(found, _("Conflicts"), "conflicts")
    if found.last is None:
        return
    entries, fixed = found.last.value, blocked or not actions.is_operator()
    if not entries and not pages:
        st.success(_("No conflicts: no value that lost waits for a decision."), icon=":material/check_circle:")
        return
    chosen = table(entries)
    if pages or len(entries) == queries.CONFLICTS_PAGE:
        pager(entries, pages)
    if chosen is not None:
        detail(chosen, fixed)
    discard_all_form(snapshot.status.conflicts, fixed)


def pager(entries: Sequence[Conflict], pages: list[str]) -> None:
    with st.container(horizontal=True):
        st.button(_("Newer"), icon=":material/chevron_left:", key="conflicts-newer", disabled=not pages,
                  on_click=turn, args=(None,))  # fmt: skip
        st.button(_("Older"), icon=":material/chevron_right:", key="conflicts-older",
                  disabled=len(entries) < queries.CONFLICTS_PAGE,
                  on_click=turn, args=(entries[-1].id if entries else None,))  # fmt: skip


def turn(before: str | None) -> None:
    """To the page of older entries behind this one; None: back to the newer one."""
    pages = st.session_state["conflict-pages"]
    if before is None:
        pages[-1:] = []
    else:
        pages.append(before)


INTRODUCTION = N_(
    "Keys that had another value on each store: written on both while these could not reach each other, or before they "
    "became a pair. One value is live, as the column Why says; the other one is kept here for 30 days."
)


def table(entries: Sequence[Conflict]) -> Conflict | None:
    rows = [
        {
            _("Archived"): format.clock(entry.archived_at_ms / 1000, zone()),
            _("Key"): key_text(entry.key),
            _("Live value from"): store_name(entry.kept.store),
            _("Archived value from"): store_name(entry.lost.store),
            _("Size"): size_of(entry),
            _("Why"): said(entry.why),
        }
        for entry in entries
    ]
    picked = st.dataframe(
        pd.DataFrame(rows), hide_index=True, key=f"conflicts-{entries[0].id if entries else ''}", on_select="rerun",
        selection_mode=ONE_CLICK, height=320 if len(rows) > 10 else "auto", alt=_("Conflicts"),
    )  # fmt: skip
    row = clicked(picked["selection"], len(entries))
    return entries[row] if row is not None else None


def size_of(entry: Conflict) -> str:
    """Of both values; of one that is too large for the archive only that much is known without asking its store."""
    if entry.lost.apart is None and entry.kept.value:
        return format.size(entry.size_bytes)
    return _("over {size}").format(size=format.size(queries.ENTRY_BYTES))


def detail(entry: Conflict, fixed: bool) -> None:
    """Both values side by side, and the decision."""
    with st.container(border=True, key="conflict-detail"):
        st.markdown(f":material/key: {format.code(key_text(entry.key))}")
        with st.grid(2, min_column_width=240):
            sides = ((entry.kept, _("live since then")), (entry.lost, _("archived")))
            for side, state in sorted(sides, key=lambda named: named[0].store is Store.CLOUD):
                with st.container(border=True, key=f"conflict-{side.store}", height="stretch"):
                    store_heading(side.store)
                    when = format.clock(side.at_ms / 1000 if side.at_ms else None, zone(), with_seconds=True)
                    said_of = _("{state} · written at {time} by {who}") if side.by else _("{state} · written at {time}")
                    st.caption(said_of.format(state=state, time=when, who=side.by))
                    if side is entry.lost and side.apart is not None:
                        large(side.apart, _(APART))
                    elif not side.value:
                        large(entry.key, _(LEFT_OUT))
        values_table(entry)
        decision(entry, fixed)


APART = N_("Too large for the archive: it stands whole in a key of hybrid's own, on this store only, for 30 days.")
LEFT_OUT = N_("Not copied to the archive: both values together are too large for that.")


def large(key: bytes, why: str) -> None:
    """A value that is not in the entry, and where it can be looked at."""
    st.caption(f":material/database_upload: {why}")
    st.page_link(
        page("keys"), label=_("Look at it on the page Keys"), icon=":material/key:",
        query_params={"key": key_text(key), "store": "both"},
    )  # fmt: skip


def values_table(entry: Conflict) -> None:
    """Place by place, of the values that the entry itself holds."""
    held = [side for side in (entry.kept, entry.lost) if side.value and side.apart is None]
    sides = {side.store: dict(value_rows(side.commands)) for side in held}
    places = list(dict.fromkeys(place for rows in sides.values() for place in rows))
    rows = [
        {
            _("Where"): place,
            **{store_name(store): shortened(sides[store].get(place)) for store in Store if store in sides},
        }
        for place in sorted(
            places[:SHOWN_ROWS], key=lambda place: len({rows.get(place) for rows in sides.values()}) < 2
        )
    ]
    if rows:
        st.dataframe(
            tinted(pd.DataFrame(rows)), hide_index=True, height=320 if len(rows) > 10 else "auto", alt=_("Values")
        )
    if len(places) > SHOWN_ROWS:
        st.caption(_("Only the first {n} places are listed.").format(n=SHOWN_ROWS))


def shortened(text: str | None) -> str:
    if text is None:
        return _("not there")
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def decision(entry: Conflict, fixed: bool) -> None:
    unlike = _("Also if the key was written since")
    label = unlike if entry.kept.value else _("Although what is live is too large to be compared with what was kept")
    force = st.toggle(label, key=f"conflict-force-{entry.id}", disabled=fixed)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button(
            _("Keep the live value"), icon=":material/check:", key="conflict-keep", disabled=fixed,
            help=_("Agrees with what is live: the archived value leaves the archive."),
            on_click=perform, args=(repair.keep_conflict, entry.id), kwargs={"force": force},
        )  # fmt: skip
        st.button(
            _("Restore the archived value"), icon=":material/restore:", key="conflict-restore", disabled=fixed,
            help=_("Written to both stores; the value that it replaces takes its place in the archive."),
            on_click=perform, args=(repair.restore_conflict, entry.id), kwargs={"force": force},
        )  # fmt: skip
        with st.popover(_("Discard"), icon=":material/delete:", disabled=fixed):
            st.caption(_("Throws the archived value away for good; the live one stays."))
            st.button(
                _("Throw it away"), key="conflict-discard", disabled=fixed,
                on_click=perform, args=(repair.discard_conflicts, (entry.id,)),
            )  # fmt: skip


def discard_all_form(count: int | None, fixed: bool) -> None:
    with st.expander(_("Empty the archive"), icon=":material/delete_sweep:"):
        st.caption(
            _("Throws all {n} archived values away for good. The live values stay.").format(n=format.count(count))
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            typed = st.text_input(
                _("Type discard to confirm"), key="conflicts-typed", width=240, autocomplete="off", live=True
            )
            st.button(
                _("Throw all away"), key="conflicts-discard-all",
                disabled=fixed or not actions.is_phrase(typed, "discard"),
                on_click=perform, args=(repair.discard_conflicts, None), kwargs={"typed": typed},
            )  # fmt: skip


def value_rows(commands: Iterable[Sequence[bytes]]) -> list[tuple[str, str]]:
    """The places of a value and what stands there, from the commands that make it."""
    rows: list[tuple[str, str]] = []
    counted = 0
    for name, *operands in commands:
        rest = [queries.shown(part) for part in operands[1:]]
        if name in (b"DEL", b"UNLINK"):
            continue
        if name == b"SET":
            rows.append((_("value"), rest[0]))
            if len(rest) > 2 and rest[1] == "PXAT":
                rows.append((_("expiry"), moment(rest[2])))
        elif name == b"PEXPIREAT":
            rows.append((_("expiry"), moment(rest[0])))
        elif name in PAIRS:
            rows += [
                (f"{_('field')} {field}", value) for field, value in zip_longest(rest[::2], rest[1::2], fillvalue="")
            ]
        elif name == b"ZADD":
            rows += [(f"{_('score of')} {member}", score) for score, member in zip(rest[::2], rest[1::2], strict=False)]
        elif name == b"SADD":
            rows += [(f"{_('member')} {member}", member) for member in rest]
        elif name == b"RPUSH":
            rows += [(f"{_('item')} {counted + at}", item) for at, item in enumerate(rest)]
            counted += len(rest)
        elif name == b"XADD":
            rows.append((f"{_('entry')} {rest[0]}", " ".join(rest[1:])))
        else:
            rows.append((queries.shown(name), " ".join(rest)))
    return rows


def moment(text: str) -> str:
    return format.clock(int(text) / 1000, zone(), with_seconds=True) if text.isdigit() else text
