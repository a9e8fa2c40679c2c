"""Choices that are part of the address. Streamlit's own binding writes what is shown, which differs by language."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

__all__ = ["from_address", "to_address"]


def from_address(name: str, key: str, choices: Sequence[str], default: str) -> None:
    """Before a widget is drawn for the first time: take its value from the address, if that is one of `choices`."""
    if key not in st.session_state:
        asked = st.query_params.get(name)
        st.session_state[key] = asked if asked in choices else default


def to_address(name: str, value: str, default: str) -> None:
    """After it is drawn: keep the address as it is chosen; a default needs no word in it."""
    if value != default:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]
