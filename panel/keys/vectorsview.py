"""A vector set on both stores: what each says of it, and what lies near one of its elements."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from panel import format
from panel.i18n import N_, _, ngettext
from panel.keys import queries
from panel.keys.entries import numbers
from panel.keys.queries import ConfigurationError, Element, Store, VectorsInfo
from panel.repair.links import key_text
from panel.repair.pieces import missing, store_heading

__all__ = ["about", "nearest", "search"]

CONDITION_HELP = N_('As the server\'s FILTER has it: `.year > 1980 and .genre == "drama"`. Empty for all elements.')


def about(store: Store, key: bytes) -> None:
    """Dimension, quantisation and graph, as this store has them."""
    answer = queries.about_vectors(store, key)
    found = answer.last
    missing(answer, _("The vector set"), f"keys-about-{store}")
    if found is not None and found.value is not None:
        st.caption(" · ".join(facts(found.value)))


def facts(vectors: VectorsInfo) -> list[str]:
    dimensions = ngettext("{n} dimension", "{n} dimensions", vectors.dimension)
    levels = ngettext("{n} level", "{n} levels", vectors.levels)
    told = ngettext("{n} element with attributes", "{n} elements with attributes", vectors.with_attributes)
    return [
        dimensions.format(n=format.number(vectors.dimension)),
        *([_("projected from {n}").format(n=format.number(vectors.projected_from))] if vectors.projected_from else []),
        _("kept as {kind}").format(kind=vectors.quantisation),
        _("up to {n} links").format(n=format.number(vectors.links)),
        levels.format(n=format.number(vectors.levels)),
        told.format(n=format.number(vectors.with_attributes)),
    ]


def nearest(key: bytes, one: Element) -> None:
    """The neighbours of the chosen element on each store that has it."""
    stores = tuple(store for store, found in ((Store.LOCAL, one.local), (Store.CLOUD, one.cloud)) if found is not None)
    st.markdown(f"**{_('Nearest to it')}** :gray[{_('each store searches its own graph')}]")
    neighbours(key, one.name, stores, "element")


def search(key: bytes, stores: tuple[Store, ...]) -> None:
    """What is nearest to a vector, of all elements or of those whose attributes are as wanted."""
    # Its state is kept by name: a form that opens above it would close it.
    with st.expander(_("Search by a vector"), icon=":material/search:", key="keys-vector-search", on_change="rerun"):
        text = st.text_area(_("Vector"), key="keys-vector", placeholder="0.12, -0.5, 1e-3", height=90)
        where = st.text_input(
            _("Condition on attributes"), key="keys-vector-where", placeholder=".year > 1980", help=_(CONDITION_HELP)
        )
        if not text.strip():
            return
        try:
            vector = tuple(numbers(text))
        except ConfigurationError as error:
            st.caption(f":material/error: {error}")
            return
        neighbours(key, vector, stores, "vector", where.strip())


def neighbours(
    key: bytes, to: bytes | tuple[float, ...], stores: tuple[Store, ...], name: str, where: str = ""
) -> None:
    answer = queries.nearest(key, to, stores, where)
    found = answer.last
    missing(answer, _("What is nearest"), f"keys-nearest-{name}")
    if found is None:
        return
    for column, store in zip(st.columns(len(stores)), stores, strict=True):
        with column:
            store_heading(store)
            rows = [
                {_("Element"): key_text(other), _("Similarity"): format.number(near, ".4f")}
                for other, near in found.value[store]
            ]
            if rows:
                st.dataframe(pd.DataFrame(rows), hide_index=True, key=f"keys-nearest-{name}-{store}")
            else:
                st.caption(_("There is no other element."))
