"""What one session looks at in the view Search: the open index, the query, the pages; and its address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st

from panel.links import has_gone_back, was_in_address
from panel.queries import Store
from panel.repair.links import key_from, key_text, linked
from panel.search.queries import MOST_HITS, Question

__all__ = [
    "COUNTS", "LIMITS_MS", "PAGE_INDEXES", "STORES", "asked_stores", "hits_page", "list_page",
    "open_index", "opened_index", "question", "remember", "restore", "turn_hits", "turn_list",
]  # fmt: skip

PAGE_INDEXES: Final = 25
STORES: Final = ("", *(store.value for store in Store))
COUNTS: Final = ("10", "25", "50")
LIMITS_MS: Final = ("500", "1000", "2000")
USUAL: Final[Mapping[str, str]] = {
    "index": "", "query": "", "in": "", "count": "10", "limit": "1000", "hits": "1", "page": "1"
}  # fmt: skip
ALLOWED: Final[Mapping[str, Sequence[str]]] = {"in": STORES, "count": COUNTS, "limit": LIMITS_MS}


def _key(name: str) -> str:
    return f"search-{name}"


def restore() -> None:
    """Take from the address what this session has not chosen itself, and what the browser went back or forward to."""
    state = st.session_state
    for name, usual in USUAL.items():
        if _key(name) not in state or has_gone_back(name, state[_key(name)]):
            value = linked(name, usual)
            state[_key(name)] = value if value in ALLOWED.get(name, (value,)) else usual
        else:
            state[_key(name)] = state[_key(name)]


def remember() -> None:
    """Put it into the address, to be handed on; at once, as the browser remembers each change as a step."""
    values = {name: str(st.session_state[_key(name)] or "") for name in USUAL}
    chosen = {name: value for name, value in values.items() if value and value != USUAL[name]}
    others = {name: value for name, value in st.query_params.to_dict().items() if name not in USUAL}
    if st.query_params.to_dict() != others | chosen:
        st.query_params.from_dict(others | chosen)
    for name in USUAL:
        was_in_address(name, st.session_state[_key(name)])


def opened_index() -> bytes | None:
    text = st.session_state[_key("index")]
    return key_from(text) if text else None


def open_index(name: bytes | None) -> None:
    """Show an index, or the list."""
    st.session_state[_key("index")] = key_text(name) if name else ""
    st.session_state[_key("query")] = ""
    turn_hits(0)


def _page(name: str) -> int:
    text = str(st.session_state[_key(name)])[:9]
    return max(int(text) - 1, 0) if text.isdecimal() else 0


def list_page() -> int:
    return _page("page")


def turn_list(page: int) -> None:
    st.session_state[_key("page")] = str(max(page, 0) + 1)


def hits_page() -> int:
    return min(_page("hits"), MOST_HITS // int(st.session_state[_key("count")]) - 1)


def turn_hits(page: int) -> None:
    st.session_state[_key("hits")] = str(max(page, 0) + 1)


def asked_stores(stores: Sequence[Store]) -> tuple[Store, ...]:
    """Those that the query goes to."""
    chosen = st.session_state[_key("in")]
    return tuple(store for store in stores if chosen in ("", store.value))


def question(fields: tuple[str, ...]) -> Question | None:
    """What is asked; None while nothing is."""
    state: Any = st.session_state
    query = str(state[_key("query")] or "").strip()
    if not query:
        return None
    count = int(state[_key("count")])
    return Question(query, hits_page() * count, count, fields, int(state[_key("limit")]))
