"""One index as both stores have it: how it fares, its fields, where they differ, and the command that makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from panel import format
from panel.actions import Outcome
from panel.confirm import confirmed_button
from panel.console.queries import Target
from panel.console.view import TARGETS
from panel.i18n import N_, _, ngettext
from panel.insights.view import ages, frame, refusal, store_frame, store_frames
from panel.nav import page
from panel.queries import Store
from panel.reads import Answer
from panel.repair.pieces import missing, tinted
from panel.search import actions, hitsview, pieces, queries, state
from panel.search.queries import NO_INDEX, NO_SEARCH, Apart, Definition, IndexField, IndexInfo, NotOffered
from panel.tables import table_height
from panel.widgets import metric, slot, titled

__all__ = ["draw"]

ROWS = 14
PLAIN = ("ALGORITHM", "TYPE", "DISTANCE_METRIC", "COORD_SYSTEM")
"""What is understood without its name."""
PLACES = {"ON": N_("kind"), "PREFIX": N_("prefixes"), "": N_("options"), "STOPWORDS": N_("stop words")}
Told = IndexInfo | NotOffered | None


def draw(name: bytes, stores: Sequence[Store]) -> bool:
    """Draws the index; whether an answer is still awaited."""
    head = st.container(horizontal=True, vertical_alignment="center")
    with head:
        st.button(
            _("All indexes"), icon=":material/arrow_back:", key="search-back", type="tertiary",
            on_click=state.open_index, args=(None,),
        )  # fmt: skip
        st.markdown(f":material/manage_search: {format.code(queries.shown(name))}")
    answers = queries.infos(dict.fromkeys(stores, (name,)))
    told: dict[Store, Told] = {
        store: answer.last.value[name] if answer.last else None for store, answer in answers.items()
    }
    known = {store: info for store, info in told.items() if isinstance(info, IndexInfo)}
    with head:
        _dropping(name, known, stores)  # ahead of the query, which is another one where the list is shown
    with slot():
        _what_to_do(told, known)
    store_frames(stores, lambda store: _fares(store, told[store], answers[store]))
    pending = pieces.is_pending(answers.values())
    if known:
        asked = [store for store in stores if not _lacks(told[store])]
        pending |= hitsview.draw(name, asked, {store: info.definition for store, info in known.items()})
        _fields(known)
        _commands(known)
    ages(answers)
    return pending


def _lacks(told: Told) -> bool:
    return isinstance(told, NotOffered) and told.why in (NO_INDEX, NO_SEARCH)


def _what_to_do(told: Mapping[Store, Told], known: Mapping[Store, IndexInfo]) -> None:
    """In plain words, where the stores do not have the same index."""
    for store, info in told.items():
        made = known.get(store.other)
        if isinstance(info, NotOffered) and info.why == NO_INDEX and made is not None:
            text = _(
                "Only the {store} store has this index: queries find nothing on the {other} store. Create it there: in "
                "the Console choose *{target}*, allow writes to this store, and run:"
            )
            st.warning(text.format(store=_(store.other), other=_(store), target=_(TARGETS[Target(store.value)])),
                       icon=":material/warning:")  # fmt: skip
            _command(queries.create_command(made.name, made.definition), store)
    if len(known) == 2:
        mine, theirs = (known[store].definition for store in Store)
        if places := queries.apart(mine, theirs):
            st.warning(_(
                "The stores define this index differently, so that they may find different documents. To make it the "
                "same, drop it on one store with FT.DROPINDEX (documents stay), and create it there as the other has "
                "it: see *As a command* below."
            ), icon=":material/difference:")  # fmt: skip
            _places(places)


def _command(line: str, store: Store) -> None:
    st.code(line, language=None, wrap_lines=True)
    st.page_link(page("console"), icon=page("console").icon, query_params={"target": store.value})


def _places(places: Sequence[Apart]) -> None:
    rows = [
        {_("Where"): _(PLACES[each.what]) if each.what in PLACES else each.what, titled(Store.LOCAL): each.local or "–",
         titled(Store.CLOUD): each.cloud or "–"}
        for each in places
    ]  # fmt: skip
    st.dataframe(
        tinted(pd.DataFrame(rows)), hide_index=True, key="search-apart", height=table_height(len(rows), ROWS)
    )  # fmt: skip


def _fares(store: Store, told: Told, answer: Answer[Any]) -> None:
    with store_frame(store, _("Index"), "search-index"):
        if isinstance(told, NotOffered):
            return refusal(told)
        if told is None:
            return missing(answer, _("Index"))
        with st.grid(4, min_column_width=110):
            failed = _failed(told.failures) if told.failures else _("none failed")
            metric(_("Documents"), format.count(told.documents), failed)
            metric(_("Terms"), format.count(told.terms), _("different words"))
            metric(_("Memory"), format.size(told.memory_bytes), _("of the index alone"))
            metric(
                _("Indexing"), pieces.indexing(told) or _("done"),
                _("took {time}").format(time=format.latency(told.took_ms)) if told.took_ms else _("as keys change"),
            )  # fmt: skip
        if told.failures:
            text = _("Last failure: {error} ({key}). Mend the document, and it is indexed.")
            st.caption(":material/error: " + text.format(
                error=format.escaped(told.error), key=format.escaped(told.error_key)
            ))  # fmt: skip


def _failed(count: int) -> str:
    return ngettext("{n} failure", "{n} failures", count).format(n=format.number(count))


def _fields(known: Mapping[Store, IndexInfo]) -> None:
    st.subheader(_("Fields"), anchor=False)
    lines = {store: dict.fromkeys(info.definition.fields) for store, info in known.items()}

    def draw_store(store: Store) -> None:
        fields = list(lines[store])
        other = lines.get(store.other)
        marks = ["" if other is None or field in other else "≠" for field in fields]
        rows = [_field_row(field, mark if any(marks) else None) for field, mark in zip(fields, marks, strict=True)]
        made = known[store].definition
        told = ", ".join(made.prefixes) or _("every key")
        with frame(store, _("Fields"), "search-fields", [_field_csv(field) for field in fields]):
            st.caption(_about(made, told))
            st.dataframe(
                pd.DataFrame(rows), hide_index=True, key=f"search-fields-table-{store}",
                height=table_height(len(rows), ROWS), column_config={" ": st.column_config.TextColumn(width=30)},
            )  # fmt: skip

    store_frames(list(known), draw_store)


def _about(made: Definition, prefixes: str) -> str:
    parts = [f"{made.on} · {format.escaped(prefixes)}"]
    parts += [f"{word} {format.escaped(value)}" for word, value in made.settings]
    parts += list(made.options)
    if made.stopwords is not None:
        words = ngettext("{n} stop word", "{n} stop words", len(made.stopwords))
        parts.append(words.format(n=format.number(len(made.stopwords))))
    return " · ".join(parts)


def _field_row(field: IndexField, mark: str | None) -> dict[str, Any]:
    """`mark` is None where no field of the table has one."""
    return {
        **({} if mark is None else {" ": mark}),
        _("Field"): field.name,
        _("Path"): field.path,
        _("Type"): field.kind,
        _("Sortable"): "✓" if "SORTABLE" in field.flags else "",
        _("Options"): " · ".join([
            *(value if word in PLAIN else f"{word} {value}" for word, value in field.arguments),
            *(flag for flag in field.flags if flag != "SORTABLE"),
        ]),
    }  # fmt: skip


def _field_csv(field: IndexField) -> dict[str, Any]:
    return {
        "field": field.name,
        "path": field.path,
        "type": field.kind,
        "arguments": " ".join(f"{word}={value}" for word, value in field.arguments),
        "flags": " ".join(field.flags),
    }


def _commands(known: Mapping[Store, IndexInfo]) -> None:
    with st.expander(_("As a command"), icon=":material/terminal:"):
        st.caption(_("What the server tells of the index, as the command that makes it. It does not tell PHONETIC."))
        for line, stores in _by_line(known).items():
            st.markdown(" ".join(f"**{titled(store)}**" for store in stores))
            st.code(line, language=None, wrap_lines=True)


def _dropping(name: bytes, known: Mapping[Store, IndexInfo], stores: Sequence[Store]) -> None:
    """Where both have it; one store's own is dropped there, in the Console."""
    st.space("stretch")
    confirmed_button(
        _("Drop index"), queries.shown(name),
        _("The index is dropped on both stores. The documents stay; queries of it fail from then on."),
        _drop, name, key="search-drop", icon=":material/delete:", disabled=len(known) < len(stores),
        help=_("Where one store alone has it: in the Console, with FT.DROPINDEX."),
    )  # fmt: skip


def _drop(name: bytes) -> Outcome:
    outcome = actions.drop(name)
    if outcome.done:
        state.open_index(None)
    return outcome


def _by_line(known: Mapping[Store, IndexInfo]) -> dict[str, list[Store]]:
    found: dict[str, list[Store]] = {}
    for store, info in known.items():
        found.setdefault(queries.create_command(info.name, info.definition), []).append(store)
    return found
