"""The query to an index, what each store finds, and how it reads the query. Results are only looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from panel import format
from panel.i18n import N_, _, ngettext
from panel.insights.queries import is_billed
from panel.insights.view import ages, frame, refusal, store_frame, store_frames
from panel.nav import page
from panel.queries import Store
from panel.reads import Answer
from panel.repair.links import key_text
from panel.repair.pieces import missing
from panel.search import pieces, queries, state
from panel.search.queries import MOST_FIELDS, MOST_HITS, Definition, Found, Hit, Hits, NotOffered, Question
from panel.tables import ONE_CLICK, clicked, numbered, table_height
from panel.widgets import titled

__all__ = ["draw"]

SHOWN_CHARS = 120
EXAMPLES = "`@title:sea`, `@year:[1900 1950]`, `@tag:{paid}`"
FOUND = {
    Found.SAME: N_("same"),
    Found.DIFFERS: N_("differs"),
    Found.ON_ANOTHER_PAGE: N_("on another page"),
    Found.ONLY_HERE: N_("not found"),
    Found.UNKNOWN: N_("unknown"),
}
MARKS = {Found.DIFFERS: "≠ ", Found.ONLY_HERE: "✗ ", Found.UNKNOWN: "? "}


def draw(index: bytes, stores: Sequence[Store], made: Mapping[Store, Definition]) -> bool:
    """Draws it; whether an answer is still awaited."""
    st.subheader(_("Ask it"), anchor=False)
    _form(stores)
    asked = state.asked_stores(stores)
    question = state.question(_returned(made))
    if question is None:
        text = _("`*` finds all documents, `word` those that have it. By their fields: {examples}.")
        st.caption(text.format(examples=EXAMPLES))
        return False
    answers = queries.hits(asked, index, question)
    found = {store: answer.last.value if answer.last else None for store, answer in answers.items()}
    known = {store: hits for store, hits in found.items() if isinstance(hits, Hits)}
    there = _known_there(index, question, known)
    store_frames(asked, lambda store: _frame(store, answers[store], known, there.get(store.other)))
    _pages(known, question)
    ages(answers)
    pending = pieces.is_pending((*answers.values(), *there.values()))
    return _explained(asked, index, question.query) or pending


def _form(stores: Sequence[Store]) -> None:
    with st.form("search-form", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            _("Query"), key="search-query", placeholder="@title:sea", autocomplete="off", width=340,
            help=_("As FT.SEARCH has it (dialect 2). What is found is only read."),
        )  # fmt: skip
        st.selectbox(_("Store"), state.STORES, key="search-in", format_func=_store_word, width=110)
        st.selectbox(_("Rows"), state.COUNTS, key="search-count", width=85)
        st.selectbox(
            _("Time limit"), state.LIMITS_MS, key="search-limit", format_func=lambda ms: format.seconds(int(ms) / 1000),
            width=110, help=_("For each store. One that runs out of it says so, or gives what it has found by then."),
        )  # fmt: skip
        st.form_submit_button(_("Search"), icon=":material/search:", type="primary", key="search-ask", on_click=_ask)
    if Store.CLOUD in stores and is_billed(Store.CLOUD) is not False:
        st.caption(_("Each page costs one or two commands of the cloud store; its answer is kept for five minutes."))


def _store_word(store: str) -> str:
    return titled(Store(store)) if store else _("Both")


def _ask() -> None:
    state.turn_hits(0)
    queries.ask_hits_again()


def _returned(made: Mapping[Store, Definition]) -> tuple[str, ...]:
    """The fields that are shown of a document: the first ones; vectors are no text."""
    fields = [field for definition in made.values() for field in definition.fields if field.kind != "VECTOR"]
    return tuple(dict.fromkeys(field.name for field in fields))[:MOST_FIELDS]


def _known_there(
    index: bytes, question: Question, known: Mapping[Store, Hits]
) -> dict[Store, Answer[frozenset[bytes] | None]]:
    """A document may have another rank on the other store: what is not on its page is looked for there by name."""
    asked = {}
    for store, mine in known.items():
        theirs = known.get(store.other)
        if theirs is not None and not mine.is_whole:
            keys = tuple(sorted({hit.key for hit in theirs.hits} - {hit.key for hit in mine.hits}))
            if keys:
                asked[store] = queries.known_among(store, index, question, keys)
    return asked


def _frame(
    store: Store,
    answer: Answer[Hits | NotOffered],
    known: Mapping[Store, Hits],
    there: Answer[frozenset[bytes] | None] | None,
) -> None:
    found = answer.last.value if answer.last else None
    if not isinstance(found, Hits):
        with frame(store, _("Results"), "search-hits", ()):
            return refusal(found) if isinstance(found, NotOffered) else missing(answer, _("Results"))
    among = there.last.value if there is not None and there.last else None
    other = known.get(store.other)
    beside = [queries.found_beside(hit, other, among) for hit in found.hits]
    is_compared = other is not None
    names = list(dict.fromkeys(name for hit in found.hits for name, _value in hit.fields))
    total = ngettext("{n} document found", "{n} documents found", found.total).format(n=format.number(found.total))
    with frame(store, _("Results"), "search-hits", _csv(found, names, beside if is_compared else None), total):
        if found.may_lack:
            text = _("The time limit was reached: there may be more. Allow more time, or narrow the query.")
            st.caption(":material/timer: " + text)
        if found.own:
            text = ngettext(
                "{n} of hybrid's own keys is left out.", "{n} of hybrid's own keys are left out.", found.own
            )
            st.caption(":material/visibility_off: " + text.format(n=format.number(found.own)))
        if not found.hits:
            st.caption(_("No document of this store matches.") if not found.total else _("This page is empty here."))
            return
        rows = [
            {
                _("Key"): key_text(hit.key),
                **({_("Other store"): f"{MARKS.get(how, '')}{_(FOUND[how])}"} if is_compared else {}),
                _("Score"): hit.score,
                **{_free(name): _short(hit, name) for name in names},
            }
            for hit, how in zip(found.hits, beside, strict=True)
        ]
        event = st.dataframe(
            numbered(rows, {_("Score"): (".4g", "")}), hide_index=True, placeholder="–",
            key=f"search-hits-{store}-{hash(tuple(hit.key for hit in found.hits))}", on_select="rerun",
            selection_mode=ONE_CLICK, height=table_height(len(rows), 25),
            column_config={
                _("Key"): st.column_config.TextColumn(width=150),
                _("Other store"): st.column_config.TextColumn(width=110),
                _("Score"): st.column_config.NumberColumn(width=70),
            },
        )  # fmt: skip
        _link(found, clicked(event["selection"], len(rows)))


def _free(name: str) -> str:
    """A field's name as a title that none of the table's own has."""
    return f"{name} " if name in (_("Key"), _("Other store"), _("Score")) else name


def _short(hit: Hit, name: str) -> str:
    value = dict(hit.fields).get(name, b"")
    text = queries.shown(value[: 4 * SHOWN_CHARS])
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def _csv(found: Hits, names: Sequence[str], beside: Sequence[Found] | None) -> list[dict[str, Any]]:
    return [
        {
            "key": queries.shown(hit.key),
            "other_store": beside[at].value if beside else "",
            "score": hit.score,
            **{f"field_{name}": queries.shown(dict(hit.fields).get(name, b"")) for name in names},
        }
        for at, hit in enumerate(found.hits)
    ]


def _link(found: Hits, row: int | None) -> None:
    if row is None:
        st.caption(_("Choose a row to open its key."))
        return
    key = key_text(found.hits[row].key)
    st.page_link(page("keys"), label=_("Open {key}").format(key=format.code(key)), icon=":material/key:",
                 query_params={"key": key})  # fmt: skip


def _pages(known: Mapping[Store, Hits], question: Question) -> None:
    total = max((hits.total for hits in known.values()), default=0)
    if total > question.count or question.offset:
        within = min(total, MOST_HITS)
        last = min(question.offset + question.count, within)
        pieces.pager("search-hits", question.offset, last, within, state.hits_page(), state.turn_hits)
    if total > MOST_HITS:
        text = _("Only the first {n} can be leafed through: narrow the query to see others.")
        st.caption(":material/filter_alt: " + text.format(n=format.number(MOST_HITS)))


def _explained(stores: Sequence[Store], index: bytes, query: str) -> bool:
    """How each store reads the query; asked only when it is looked at."""
    fold = st.expander(
        _("How the query is read"), icon=":material/account_tree:", key="search-explain", on_change="rerun"
    )  # fmt: skip
    if not fold.open:
        return False
    answers = queries.explained(stores, index, query)
    with fold:
        store_frames(list(stores), lambda store: _explanation(store, answers[store]))
    return pieces.is_pending(answers.values())


def _explanation(store: Store, answer: Answer[str | NotOffered]) -> None:
    found = answer.last.value if answer.last else None
    with store_frame(store, _("The query"), "search-explained"):
        if isinstance(found, NotOffered):
            refusal(found)
        elif found is None:
            missing(answer, _("How the query is read"))
        else:
            st.code(found, language=None, height=300 if found.count("\n") > 12 else "content")
