"""A vector set on both stores: what each says of it, and what lies near one of its elements."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from panel import format, jobview
from panel.i18n import _, ngettext
from panel.keys import queries
from panel.keys.queries import Element, Known, Store, VectorsInfo
from panel.repair.links import key_text
from panel.repair.pieces import missing, store_heading

__all__ = ["about", "nearest"]


def about(store: Store, key: bytes) -> None:
    """Dimension, quantisation and graph, as this store has them."""
    answer = queries.about_vectors(store, key)
    found = answer if isinstance(answer, Known) else answer.last
    if not isinstance(answer, Known):
        missing(answer, _("The vector set"))
        jobview.follow(answer.pending, f"keys-about-{store}")
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
    answer = queries.nearest(key, one.name, stores)
    found = answer if isinstance(answer, Known) else answer.last
    if not isinstance(answer, Known):
        missing(answer, _("What is nearest"))
        jobview.follow(answer.pending, "keys-nearest")
    if found is None:
        return
    st.markdown(f"**{_('Nearest to it')}** :gray[{_('each store searches its own graph')}]")
    for column, store in zip(st.columns(len(stores)), stores, strict=True):
        with column:
            store_heading(store)
            rows = [
                {_("Element"): key_text(name), _("Similarity"): format.number(near, ".4f")}
                for name, near in found.value[store]
            ]
            if rows:
                st.dataframe(pd.DataFrame(rows), hide_index=True, key=f"keys-nearest-{store}")
            else:
                st.caption(_("There is no other element."))
