"""One key on both stores, side by side: every place that differs, and the value to give to both."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from panel import actions, format
from panel.i18n import N_, _
from panel.nav import PAGES, page
from panel.queries import Store
from panel.repair import actions as repair
from panel.repair import queries
from panel.repair.links import key_text
from panel.repair.pieces import facts_text, missing, obstacle_line, store_heading, store_name, tinted
from panel.repair.queries import Difference, Direction, FieldDifference, KeyLook, Known, Part
from panel.verdict import Verdict, named
from panel.widgets import COLORS, perform, slot, zone

__all__ = ["key_view"]

SHOWN_CHARS = 300
FULL_BYTES = 20_000
TIMES = {Part.TTL, Part.FIELD_TTL}
TOWARDS = {Store.LOCAL: Direction.LOCAL_TO_CLOUD, Store.CLOUD: Direction.CLOUD_TO_LOCAL}

GUARD = N_(
    "Nothing is changed if either value is another one by the time it is written. It can be undone on the page Sync."
)
PARTS = {
    Part.KEY: N_("key"),
    Part.TYPE: N_("type"),
    Part.TTL: N_("expiry"),
    Part.FIELD: N_("field"),
    Part.FIELD_TTL: N_("expiry of field"),
    Part.ITEM: N_("item"),
    Part.MEMBER: N_("member"),
    Part.SCORE: N_("score of"),
    Part.ENTRY: N_("entry"),
    Part.STREAM: N_("stream"),
    Part.GROUP: N_("group"),
    Part.CONSUMER: N_("consumer"),
    Part.PENDING: N_("pending"),
    Part.PATH: N_("path"),
    Part.LINE: N_("line"),
    Part.BYTES: N_("byte"),
}


def key_view(key: bytes, entry: Difference | None, obstacle: Verdict | None) -> None:
    """The key as both stores have it, or had it before the obstacle. `entry` is what a comparison found: the guard of a
    value too big to read."""
    with st.container(border=True, key="diff-detail"):
        heading(key, obstacle)
        obstacle_line(obstacle)
        with slot():
            found = known(key, obstacle)
        if found is None:
            if obstacle is not None and entry is not None:
                cards(entry.local, entry.cloud)
            return
        look = found.value
        cards(look.local, look.cloud)
        if look.too_big:
            st.caption(_("The value is large, so it is not read here. It can be copied as a whole."))
        if look.waiting:
            st.info(
                _("Writes to this key are on their way: what differs may be gone in a moment."), icon=":material/sync:"
            )
        difference = entry if look.too_big else look.difference
        if difference is None:
            if not look.too_big:
                st.success(equal_text(look), icon=":material/check_circle:")
            return
        merge_form(look, difference, places_table(look), blocked=obstacle is not None or not actions.is_operator())


def known(key: bytes, obstacle: Verdict | None) -> Known[KeyLook] | None:
    """What both stores have; while that cannot be asked what they had."""
    if obstacle is None:
        found = queries.look(key)
        missing(found, _("The key on both stores"), "look")
        return found.last
    before = queries.last("look", key)
    if before is not None:
        st.caption(_("Shown is what was read at {time}.").format(time=format.clock(before.at_s, zone())))
    return before


def heading(key: bytes, obstacle: Verdict | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/key: {format.code(key_text(key))}", width="stretch")
        if "keys" in PAGES:
            st.page_link(page("keys"), label=_("Keys"), icon=":material/key:", query_params={"key": key_text(key)})
        st.button(
            _("Look again"), icon=":material/refresh:", key="diff-look", type="tertiary",
            disabled=obstacle is not None, on_click=queries.forget, args=("look",),
        )  # fmt: skip


def equal_text(look: KeyLook) -> str:
    if look.local is None:
        return _("Neither store has this key.")
    return _("Both stores have the same value.")


def cards(local: queries.Facts | None, cloud: queries.Facts | None) -> None:
    """What each store has, side by side."""
    with st.grid(2, min_column_width=240):
        for store, facts in ((Store.LOCAL, local), (Store.CLOUD, cloud)):
            with st.container(border=True, key=f"diff-side-{store}", height="stretch"):
                store_heading(store)
                st.markdown(facts_text(facts))


def places_table(look: KeyLook) -> list[FieldDifference]:
    """The places that differ, side by side; the result are those that were selected."""
    places = [place for place in look.places if place.part not in (Part.KEY, Part.TYPE)]
    if not places:
        return []
    rows = [row_of(place) for place in places]
    grid = f"diff-places-{look.key!r}-{hash(look.places)}"
    picked = st.dataframe(
        tinted(pd.DataFrame(rows)), hide_index=True, key=grid, on_select="rerun", selection_mode="multi-row",
        height=400 if len(rows) > 11 else "auto", alt=_("Places that differ"),
    )  # fmt: skip
    if look.more:
        st.caption(_("Only the first {n} places are listed.").format(n=format.number(len(look.places))))
    chosen = [places[row] for row in picked["selection"]["rows"] if row < len(places)]
    if len(chosen) == 1:
        whole_values(chosen[0])
    return chosen


def row_of(place: FieldDifference) -> dict[str, str]:
    return {
        _("Where"): f"{_(PARTS[place.part])} {name_of(place)}".strip(),
        store_name(Store.LOCAL): shortened(value_text(place, place.local)),
        store_name(Store.CLOUD): shortened(value_text(place, place.cloud)),
    }


def name_of(place: FieldDifference) -> str:
    return queries.shown(place.name)


def value_text(place: FieldDifference, value: bytes | None) -> str:
    if value is None:
        return _("never") if place.part in TIMES else _("not there")
    if place.part in TIMES:
        at_s = int(value) / 1000
        left = _("in {time}").format(time=format.duration(at_s - time.time()))
        return f"{format.clock(at_s, zone(), with_seconds=True)} · {left}"
    return queries.shown(value)


def shortened(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def whole_values(place: FieldDifference) -> None:
    """Both values of one place in full, for what is too long for a table."""
    if max(len(place.local or b""), len(place.cloud or b"")) <= 40:
        return
    with st.grid(2, min_column_width=240):
        for store, value in ((Store.LOCAL, place.local), (Store.CLOUD, place.cloud)):
            with st.container(key=f"diff-whole-{store}"):
                store_heading(store)
                st.code(value_text(place, value and value[:FULL_BYTES]), language=None, wrap_lines=True, height=220)


def merge_form(look: KeyLook, difference: Difference, chosen: Sequence[FieldDifference], *, blocked: bool) -> None:
    """Whose value both stores are to have, which places are taken from the other one, and what that means."""
    base = st.segmented_control(
        _("Both stores get the value of"), list(Store), default=None, key=f"diff-base-{look.key!r}",
        format_func=lambda store: f":{COLORS[store]}[{store_name(store)}]", disabled=blocked,
    )  # fmt: skip
    if base is None:
        if blocked:
            return
        if chosen:
            st.caption(_("Choose whose value counts; the selected places are then taken from the other store."))
        elif any(place.part in queries.MERGED_PARTS for place in look.places):
            st.caption(
                _("Choose whose value counts. To merge by field, select the places to take from the other store.")
            )
        return
    source = difference.local if base is Store.LOCAL else difference.cloud
    if source is None:
        return delete_form(look, difference, base, blocked=blocked)
    alone = [place for place in chosen if place.part not in queries.MERGED_PARTS]
    if alone:
        parts = ", ".join(sorted({_(PARTS[place.part]) for place in alone}))
        st.caption(_("Not one by one: {parts}. Of these, one store's whole value is taken.").format(parts=parts))
        return
    st.caption(preview_text(base, source, chosen))
    if chosen:
        action, args = repair.merge_key, (difference, base, tuple(chosen))
    else:
        action, args = repair.copy_key, (difference, TOWARDS[base])  # type: ignore[assignment]
    st.button(
        _("Write to both stores"), icon=":material/call_merge:", type="primary", key="diff-merge", disabled=blocked,
        on_click=perform, args=(action, *args), help=_(GUARD),
    )  # fmt: skip


def preview_text(base: Store, source: queries.Facts, chosen: Sequence[FieldDifference]) -> str:
    """What both stores will have."""
    text = _("Both stores will have the {store} value ({facts})").format(store=named(base), facts=facts_text(source))
    if not chosen:
        return f":material/preview: {text}."
    listed = ", ".join(f"{_(PARTS[place.part])} {name_of(place)}".strip() for place in chosen[:8])
    more = "…" if len(chosen) > 8 else ""
    taken = _("with these places as in the {store} store: {places}").format(
        store=named(base.other), places=format.escaped(listed) + more
    )
    return f":material/preview: {text}, {taken}."


def delete_form(look: KeyLook, difference: Difference, base: Store, *, blocked: bool) -> None:
    """The store whose value counts has none: making them equal deletes the key on the other one."""
    st.warning(
        _("The {store} store does not have this key: making them equal deletes it on the {other} store.").format(
            store=named(base), other=named(base.other)
        ),
        icon=":material/warning:",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        typed = st.text_input(
            _("Type delete to confirm"), key=f"diff-delete-{look.key!r}", width=240, autocomplete="off", live=True
        )
        st.button(
            _("Delete"), icon=":material/delete:", key="diff-merge",
            disabled=blocked or not actions.is_phrase(typed, "delete"),
            on_click=perform, args=(repair.copy_key, difference, TOWARDS[base]), kwargs={"typed": typed},
        )  # fmt: skip
