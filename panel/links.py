"""Choices that are part of the address. Streamlit's own binding writes what is shown, which differs by language."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

__all__ = [
    "from_address", "has_gone_back", "several_from_address", "several_to_address", "text_from_address", "to_address",
    "was_in_address",
]  # fmt: skip

ALL = "all"
BETWEEN = ","
WRITTEN = "in-address-"


def from_address(name: str, key: str, choices: Sequence[str], default: str | None) -> None:
    """Before a widget is drawn: for the first time, and after the browser went back or forward, take its value from the
    address, if that is one of `choices`. Else send it again: of two drawings a busy browser may show the second alone,
    without what was set in the first."""
    if key not in st.session_state or has_gone_back(name, st.session_state[key]):
        asked = st.query_params.get(name)
        st.session_state[key] = next((choice for choice in choices if choice == asked), default)
    else:
        st.session_state[key] = st.session_state[key]


def text_from_address(name: str, key: str, default: str = "") -> None:
    """As `from_address`, for what is typed: that is not sent again, which would take away what is being typed."""
    if key not in st.session_state or has_gone_back(name, st.session_state[key]):
        st.session_state[key] = st.query_params.get(name, default)


def to_address(name: str, value: str, default: str) -> None:
    """After it is drawn: keep the address as it is chosen; a default needs no word in it."""
    if value != default:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]
    was_in_address(name, value)


def several_from_address(name: str, key: str, choices: Sequence[str], default: Sequence[str] = ()) -> None:
    """As `from_address`, for a widget with which several are chosen; none chosen is all."""
    found = st.session_state.get(key)
    if found is None or has_gone_back(name, found):
        asked = st.query_params.get(name)
        found = default if asked is None else asked.split(BETWEEN)
    st.session_state[key] = [each for each in choices if each in found]


def several_to_address(name: str, values: Sequence[str], default: Sequence[str] = ()) -> None:
    """As `to_address`."""
    if set(values) != set(default):
        st.query_params[name] = BETWEEN.join(values) or ALL
    elif name in st.query_params:
        del st.query_params[name]
    was_in_address(name, list(values))


def was_in_address(name: str, value: object) -> None:
    """Remember what the address says now that `value` is chosen."""
    st.session_state[WRITTEN + name] = (st.query_params.get(name), value)


def has_gone_back(name: str, value: object) -> bool:
    """Whether the address is another one than was written for `value`, although nobody has chosen anew: the browser
    went back or forward."""
    written = st.session_state.get(WRITTEN + name)
    return written is not None and written[1] == value and written[0] != st.query_params.get(name)
