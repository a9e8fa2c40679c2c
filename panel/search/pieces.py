"""Small pieces that the list of indexes and an open one share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import streamlit as st

from panel import format
from panel.i18n import _
from panel.reads import Answer
from panel.search.queries import IndexInfo
from panel.widgets import page_buttons

__all__ = ["indexing", "is_pending", "pager"]


def is_pending(answers: Iterable[Answer[Any]]) -> bool:
    """Whether one of them is still awaited."""
    return any(getattr(answer, "pending", False) for answer in answers)


def indexing(info: IndexInfo) -> str:
    """How far an index that is being filled is; empty when it is full."""
    if not info.is_indexing:
        return ""
    return _(format.UNKNOWN) if info.indexed is None else f"{format.number(100 * info.indexed, '.0f')}%"


def pager(name: str, first: int, last: int, total: int, at: int, turn: Callable[[int], None]) -> None:
    """Previous and next, and where one is: after `first`, up to `last`."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"{name}-pager"):
        page_buttons(name, at, turn, is_last=last >= total)
        numbers = {"first": min(first + 1, total), "last": last, "total": total}
        st.caption(_("{first} to {last} of {total}").format(**{k: format.number(n) for k, n in numbers.items()}))
