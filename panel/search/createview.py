"""The form for a new search index. Its fields are written as FT.CREATE has them, or suggested from keys there are."""

from __future__ import annotations

import streamlit as st

from panel import actions as panel_actions
from panel.format import escaped
from panel.i18n import N_, _
from panel.keys.queries import stores_up
from panel.repair.links import key_from
from panel.said import said
from panel.search import actions, queries, state
from panel.search.queries import DOCUMENT_KINDS, ConfigurationError, Draft, create_words, line_of
from panel.widgets import slot

__all__ = ["draw", "opener"]

OPEN = "search-new"
REFUSAL = "search-new-refusal"
"""Of the session state: why the form was not saved, said in it."""

EXAMPLES = {
    "HASH": "title TEXT SORTABLE\nprice NUMERIC SORTABLE\ntags TAG",
    "JSON": "$.title AS title TEXT\n$.tags[*] AS tags TAG",
}
SCHEMA_HELP = N_(
    "One field on each line, as FT.CREATE has them: its name or path, its type (TEXT, TAG, NUMERIC, GEO, GEOSHAPE, "
    "VECTOR) and options."
)


def opener() -> None:
    """The button that opens the form, until it is open."""
    if is_open():
        return
    st.button(
        _("New index"), icon=":material/add:", key="search-new-open", on_click=_open, args=(True,),
        disabled=not panel_actions.is_operator(),
    )  # fmt: skip


def is_open() -> bool:
    return bool(st.session_state.get(OPEN))


def _open(is_open: bool) -> None:
    st.session_state[OPEN] = is_open
    st.session_state.pop(REFUSAL, None)


def draw() -> None:
    place = slot()
    if not is_open():
        return
    with place, st.container(border=True, key="search-new-box"):
        st.markdown(f":material/add: **{_('New index on both stores')}**")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(_("Name"), key="search-new-name", placeholder="books", width=260)
            kind = st.segmented_control(
                _("Of"), DOCUMENT_KINDS, default=DOCUMENT_KINDS[0], required=True, key="search-new-kind", wrap=True
            )
            st.text_input(
                _("Names begin with"), key="search-new-prefixes", placeholder="book:", width=260,
                help=_("One or more beginnings of keys, with blanks between; empty for every key."),
            )  # fmt: skip
            st.button(
                _("Suggest fields"), icon=":material/auto_awesome:", key="search-new-suggest", on_click=_suggest,
                help=_("From the first keys of this kind whose names begin so."), disabled=not stores_up(),
            )  # fmt: skip
        st.text_area(
            _("Fields"), key="search-new-schema", height=150, placeholder=EXAMPLES[str(kind)], help=_(SCHEMA_HELP)
        )
        with slot():
            if refused := st.session_state.get(REFUSAL):
                st.markdown(f":red[:material/error:] {escaped(said(refused))}")
        with st.container(horizontal=True):
            st.button(
                _("Create"), type="primary", icon=":material/check:", key="search-new-save", on_click=_save,
                disabled=not (stores_up() and panel_actions.is_operator()),
            )  # fmt: skip
            st.button(_("Cancel"), key="search-new-cancel", on_click=_open, args=(False,))
        with slot():
            _preview()


def _preview() -> None:
    """The command as it will be run, once it is whole."""
    try:
        words = create_words(_entered())
    except ConfigurationError:
        return
    st.code(line_of(words), language=None, wrap_lines=True)


def _entered() -> Draft:
    values = st.session_state
    name, prefixes, schema = (str(values.get(f"search-new-{part}") or "") for part in ("name", "prefixes", "schema"))
    kind = str(values.get("search-new-kind") or DOCUMENT_KINDS[0])
    return Draft(key_from(name.strip()), kind, tuple(map(key_from, prefixes.split())), schema)


def _suggest() -> None:
    draft, up = _entered(), stores_up()
    prefix = draft.prefixes[0] if draft.prefixes else b""
    answer = queries.suggested(up[0], draft.on, prefix) if up else None
    found = answer.last.value if answer is not None and answer.last else None
    if found:
        st.session_state["search-new-schema"] = "\n".join(found)
        st.session_state[REFUSAL] = ""
    elif found is None:
        st.session_state[REFUSAL] = _("The store has not answered yet: try again.")
    else:
        st.session_state[REFUSAL] = _("No such key begins so: write the fields yourself.")


def _save() -> None:
    try:
        draft = _entered()
        create_words(draft)
        outcome = actions.create(draft)
    except (panel_actions.NotAllowed, ConfigurationError) as refusal:
        text = str(refusal)
        outcome = panel_actions.Outcome(False, text[:1].upper() + text[1:])
    if not outcome.done:
        st.session_state[REFUSAL] = outcome.sentence
        return
    st.toast(said(outcome.sentence), icon=":material/check_circle:")
    _open(False)
    state.open_index(draft.name)
