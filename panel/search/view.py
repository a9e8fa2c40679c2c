"""The view Search: the indexes of both stores in one list, or one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from panel import format, jobview
from panel.i18n import _, ngettext
from panel.insights.queries import is_billed
from panel.insights.view import ages, unknown
from panel.keys.listview import BADGES
from panel.keys.queries import Badge
from panel.queries import Store
from panel.reads import Answer
from panel.said import said
from panel.search import createview, indexview, pieces, queries, state
from panel.search.queries import IndexInfo, NotOffered
from panel.tables import ONE_CLICK, clicked, heading, numbered, table_height
from panel.widgets import STORE_ICONS, titled

__all__ = ["draw"]

Told = Mapping[Store, IndexInfo | NotOffered | None]
"""What each store that has an index says of it; None while it says nothing."""


def draw(stores: Sequence[Store]) -> None:
    """The open index, or the list of all."""
    state.restore()
    opened = state.opened_index()
    pending = _listed(stores) if opened is None else indexview.draw(opened, stores)
    state.remember()
    jobview.follow(pending, "insights")


def _listed(stores: Sequence[Store]) -> bool:
    """Draws the list; whether an answer is still awaited."""
    answers = queries.indexes(stores)
    names: dict[Store, tuple[bytes, ...]] = {}
    for store, answer in answers.items():
        found = answer.last.value if answer.last else None
        if isinstance(found, NotOffered):
            st.caption(f"{STORE_ICONS[store]} {titled(store)}: {said(found.why)}")
        elif found is not None:
            names[store] = found
        else:
            unknown(answer, f"{titled(store)}: ")
    if Store.CLOUD in names and is_billed(Store.CLOUD) is not False:
        text = _("Asking the cloud store costs a command, and one for each index that is shown; its answer is kept for "
                 "five minutes.")  # fmt: skip
        st.caption(text)
    if names:
        createview.draw()
    every = sorted(set().union(*names.values()))
    infos = _page_of(every, names) if every else {}
    if names and not every:
        _first_steps()
    if names:
        createview.opener()
    ages({**answers, **infos})
    return pieces.is_pending([*answers.values(), *infos.values()])


def _first_steps() -> None:
    with st.container(border=True, key="search-first"):
        st.markdown(":material/manage_search: " + _("There is no search index yet."))
        st.caption(_(
            "An index finds documents by what is in their fields: words, numbers, tags, places, vectors. Each store "
            "fills it by itself, from the hashes or JSON documents whose names begin as you say."
        ))  # fmt: skip


def _page_of(
    every: Sequence[bytes], names: Mapping[Store, tuple[bytes, ...]]
) -> dict[Store, Answer[dict[bytes, IndexInfo | NotOffered]]]:
    """One page of the list. Only what is on it is asked for."""
    at = min(state.list_page(), (len(every) - 1) // state.PAGE_INDEXES)
    shown = every[at * state.PAGE_INDEXES : (at + 1) * state.PAGE_INDEXES]
    sets = {store: frozenset(known) for store, known in names.items()}
    has = {store: tuple(name for name in shown if name in known) for store, known in sets.items()}
    infos = queries.infos({store: asked for store, asked in has.items() if asked})
    told: dict[bytes, Told] = {
        name: {
            store: known.value.get(name) if (known := infos[store].last) else None
            for store, there in has.items()
            if name in there
        }
        for name in shown
    }
    compared = len(names) == 2
    badges = {name: badge_of(each) for name, each in told.items()} if compared else {}
    rows = [_row(name, told[name], names, badges.get(name)) for name in shown]
    total = ngettext("{n} index", "{n} indexes", len(every)).format(n=format.number(len(every)))
    with st.container(border=True, key="search-indexes"):
        heading(_("Search indexes"), total, [_csv_row(name, told[name], badges.get(name)) for name in shown], "indexes")
        grid = f"search-grid-{at}-{hash(tuple(shown))}"
        words = {badge: f"{mark} {_(word)}" for badge, (word, mark, _icon, _color) in BADGES.items()}
        colors = [color for *_rest, color in BADGES.values()]
        st.dataframe(
            numbered(rows, {_documents(store): (",", "") for store in names}), hide_index=True, key=grid,
            placeholder="–", on_select=partial(_pick, grid, shown), selection_mode=ONE_CLICK,
            height=table_height(len(rows), state.PAGE_INDEXES),
            column_config={
                _("Index"): st.column_config.TextColumn(width=180),
                _("Definition"): st.column_config.MultiselectColumn(
                    options=list(words.values()), color=colors, width=120
                ),
                **{_documents(store): st.column_config.NumberColumn(width=130) for store in names},
            },
        )  # fmt: skip
        _pager(at, len(every))
    _advice(badges)
    for store, answer in infos.items():
        if answer.last is None:
            unknown(answer, f"{titled(store)}: ")
    for why in dict.fromkeys(
        f"{STORE_ICONS[store]} {titled(store)}: {said(info.why)}"
        for each in told.values() for store, info in each.items() if isinstance(info, NotOffered)
    ):  # fmt: skip
        st.caption(why)
    return infos


def badge_of(told: Told) -> Badge:
    """How an index stands on two stores whose lists are known."""
    if len(told) == 1:
        return Badge.ONLY_LOCAL if Store.LOCAL in told else Badge.ONLY_CLOUD
    mine, theirs = (told[store] for store in Store)
    if not isinstance(mine, IndexInfo) or not isinstance(theirs, IndexInfo):
        return Badge.UNKNOWN
    return Badge.DIFFERS if queries.apart(mine.definition, theirs.definition) else Badge.EQUAL


def _known(told: Told) -> dict[Store, IndexInfo]:
    return {store: info for store, info in told.items() if isinstance(info, IndexInfo)}


def _row(name: bytes, told: Told, stores: Iterable[Store], badge: Badge | None) -> dict[str, Any]:
    known = _known(told)
    some = next(iter(known.values()), None)
    stands = {} if badge is None else {_("Definition"): [f"{BADGES[badge][1]} {_(BADGES[badge][0])}"]}
    return {
        _("Index"): queries.shown(name),
        **stands,
        **{_documents(store): known[store].documents if store in known else None for store in stores},
        _("Kind"): some.definition.on if some else None,
        _("Prefixes"): _prefixes(some) if some else None,
        _("Indexing"): _of_stores(known, pieces.indexing, _("done")),
        _("Failures"): _of_stores(known, lambda info: format.number(info.failures) if info.failures else "", "0"),
    }


def _documents(store: Store) -> str:
    return _("{store}: documents").format(store=titled(store))


def _prefixes(info: IndexInfo) -> str:
    return ", ".join(info.definition.prefixes) or _("every key")


def _of_stores(known: Mapping[Store, IndexInfo], told: Callable[[IndexInfo], str], fine: str) -> str | None:
    """What is told of each store; `fine` where there is nothing to tell, None where no store is known."""
    if not known:
        return None
    return ", ".join(f"{titled(store)} {text}" for store, info in known.items() if (text := told(info))) or fine


def _csv_row(name: bytes, told: Told, badge: Badge | None) -> dict[str, Any]:
    known = _known(told)
    some = next(iter(known.values()), None)
    row: dict[str, Any] = {"index": queries.shown(name), "stores": badge.value if badge else ""}
    row |= {"on": some.definition.on, "prefixes": " ".join(some.definition.prefixes)} if some else {}
    row = {"index": "", "stores": "", "on": "", "prefixes": "", **row}
    for store in Store:
        info = known.get(store)
        row |= {
            f"{store}_documents": info.documents if info else None,
            f"{store}_indexed": info.indexed if info else None,
            f"{store}_failures": info.failures if info else None,
            f"{store}_memory_bytes": info.memory_bytes if info else None,
        }
    return row


def _advice(badges: Mapping[bytes, Badge]) -> None:
    """What to do about what differs."""
    alone = sum(badge in (Badge.ONLY_LOCAL, Badge.ONLY_CLOUD) for badge in badges.values())
    differ = sum(badge is Badge.DIFFERS for badge in badges.values())
    if alone:
        text = ngettext(
            "{n} index here is on one store only: open it for the command that creates it on the other.",
            "{n} indexes here are on one store only: open one for the command that creates it on the other.", alone,
        )  # fmt: skip
        st.caption(":material/warning: " + text.format(n=format.number(alone)))
    if differ:
        text = ngettext(
            "{n} index here is defined differently: open it to see where, and how to make it the same.",
            "{n} indexes here are defined differently: open one to see where, and how to make it the same.", differ,
        )  # fmt: skip
        st.caption(":material/difference: " + text.format(n=format.number(differ)))


def _pick(grid: str, shown: Sequence[bytes]) -> None:
    row = clicked(st.session_state[grid]["selection"], len(shown))
    if row is not None:
        state.open_index(shown[row])


def _pager(at: int, total: int) -> None:
    first, last = at * state.PAGE_INDEXES, min((at + 1) * state.PAGE_INDEXES, total)
    st.caption(_("A click on an index opens it."))
    if total > state.PAGE_INDEXES:
        pieces.pager("search", first, last, total, at, state.turn_list)
