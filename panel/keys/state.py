"""What one session looks at on the page Keys: filter, page, open key, open form; and its address."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import streamlit as st

from panel.i18n import N_
from panel.keys.queries import MOST_NAMES, Filter, KeyRow, Store, Walk, new_walk_id
from panel.links import has_gone_back, was_in_address
from panel.repair.links import key_from, key_text, link, linked, linked_page

__all__ = [
    "KINDS", "PAGE_KEYS", "SEPARATORS", "SIZES", "TTLS", "close_form", "current_walk", "filter_of_session", "form",
    "is_live", "just_opened", "kind_seen", "last_kind", "open_form", "open_key", "opened_key", "prefix", "remember",
    "restart", "restore", "row_seen", "separator", "set_prefix", "turn",
]  # fmt: skip

PAGE_KEYS = 50
SETTLES_S = 10.0
"""How long after a visit began the browser may get a drawing before it got the first one, which set the controls."""

KINDS = ("", "string", "hash", "list", "set", "zset", "stream", "json", "TSDB-TYPE", "vectorset")
TTLS: Mapping[str, tuple[str, dict[str, Any]]] = MappingProxyType(
    {
        "": (N_("Any"), {}),
        "never": (N_("Never"), {"expires": False}),
        "some": (N_("Has one"), {"expires": True}),
        "60": (N_("Within a minute"), {"expires_within_s": 60}),
        "3600": (N_("Within an hour"), {"expires_within_s": 3600}),
        "86400": (N_("Within a day"), {"expires_within_s": 86_400}),
    }
)
SIZES: Mapping[str, tuple[str, dict[str, Any]]] = MappingProxyType(
    {
        "": (N_("Any"), {}),
        "small": (N_("Under 1 KB"), {"most_bytes": 1023}),
        "1k": (N_("1 KB and more"), {"least_bytes": 1024}),
        "100k": (N_("100 KB and more"), {"least_bytes": 100 * 1024}),
        "1m": (N_("1 MB and more"), {"least_bytes": 1024 * 1024}),
    }
)
SEPARATORS = (":", "/", ".", "-", "_", "|")
LINKED = ("pattern", "type", "store", "ttl", "size", "view", "separator")
DEFAULTS = {"view": "list", "separator": ":"}
STORES = ("", *(store.value for store in Store))
ALLOWED = {"type": KINDS, "store": STORES, "ttl": tuple(TTLS), "size": tuple(SIZES), "view": ("list", "tree")}


def restore() -> None:
    """Take from the address what this session has not chosen itself, and what the browser went back or forward to."""
    state = st.session_state
    state["keys-just-opened"] = opened = "keys-view" not in state
    now_s = time.monotonic()
    is_fresh = opened or now_s - state.setdefault("keys-opened-s", now_s) < SETTLES_S
    if opened:
        state["keys-opened-s"] = now_s
    for name in LINKED:
        value = linked(name, DEFAULTS.get(name, ""))
        allowed = ALLOWED.get(name)
        if opened or has_gone_back(name, state[f"keys-{name}"]):
            state[f"keys-{name}"] = value if allowed is None or value in allowed else allowed[0]
        elif is_fresh or name in ALLOWED or name in DEFAULTS:
            # Sent again: the browser may have missed it. Not the search for long: it is typed.
            state[f"keys-{name}"] = state[f"keys-{name}"]
    if _is_led("prefix", opened):
        set_prefix(key_from(linked("prefix")))
        turn(0)
    if _is_led("key", opened):
        open_key(key_from(linked("key")))
    is_led = bool(linked("page")) if opened else has_gone_back("page", state["keys-page"])
    current_walk()
    if is_led:
        turn(min(linked_page(), -(-MOST_NAMES // PAGE_KEYS)) - 1)


def _is_led(name: str, just_opened: bool) -> bool:
    """Whether the address asks for another one than is open: of a link that was followed, or gone back to."""
    kept = st.session_state.setdefault(f"keys-open-{name}", "")
    return linked(name) != kept and (bool(linked(name)) if just_opened else has_gone_back(name, kept))


def remember() -> None:
    """Put it into the address, to be handed on."""
    state = st.session_state
    values = {name: str(state.get(f"keys-{name}") or "") for name in LINKED}
    values |= {name: "" for name, usual in DEFAULTS.items() if values[name] == usual}
    page = state["keys-page"]
    link(**values, key=state["keys-open-key"], prefix=state["keys-open-prefix"], page=str(page + 1) if page else "")
    for name in LINKED:
        was_in_address(name, state.get(f"keys-{name}"))
    for name in ("key", "prefix"):
        was_in_address(name, state[f"keys-open-{name}"])
    was_in_address("page", page)


def just_opened() -> bool:
    """Whether this is the first drawing of a visit: the browser must get it before the next one, or it misses what the
    controls were set to from the address."""
    return bool(st.session_state["keys-just-opened"])


def filter_of_session() -> Filter:
    """What the controls say; in the tree, below the open folder."""
    state = st.session_state
    pattern = (state.get("keys-pattern") or "").strip() or "*"
    if state.get("keys-view") == "tree" and pattern == "*":
        folder = key_from(state["keys-open-prefix"])
        wanted = b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\" else bytes([byte]) for byte in folder) + b"*"
    else:
        wanted = key_from(pattern)
    store = state.get("keys-store") or None
    return Filter(
        wanted,
        state.get("keys-type") or None,
        Store(store) if store else None,
        **TTLS[state.get("keys-ttl") or ""][1],
        **SIZES[state.get("keys-size") or ""][1],
    )


def current_walk() -> tuple[Walk, int]:
    """The walk of this session, begun anew when the filter is another one."""
    wanted = filter_of_session()
    kept = st.session_state.get("keys-walk")
    if kept is None or kept[0].filter != wanted:
        kept = (Walk(wanted), new_walk_id())
        st.session_state["keys-walk"] = kept
        st.session_state["keys-page"] = 0
    walk, number = kept
    return walk, number


def restart() -> None:
    """Read the stores again from the beginning."""
    st.session_state.pop("keys-walk", None)


def turn(page: int) -> None:
    st.session_state["keys-page"] = max(page, 0)


def prefix() -> bytes:
    """The open folder of the tree."""
    return key_from(st.session_state["keys-open-prefix"])


def separator() -> bytes:
    """Where names are cut in the tree."""
    return key_from(st.session_state["keys-separator"] or DEFAULTS["separator"])


def set_prefix(folder: bytes) -> None:
    st.session_state["keys-open-prefix"] = key_text(folder) if folder else ""


def opened_key() -> bytes | None:
    """The key whose details are shown."""
    text = st.session_state["keys-open-key"]
    return key_from(text) if text else None


def is_live() -> bool:
    """Whether the open key is read again by itself."""
    return opened_key() is not None and bool(st.session_state.get("keys-live"))


def row_seen(key: bytes) -> KeyRow | None:
    """What the list said of the open key when it was opened there."""
    row: KeyRow | None = st.session_state.get("keys-open-row")
    return row if row is not None and row.key == key else None


def kind_seen(key: bytes, kind: str) -> None:
    """Note of what type the open key is."""
    st.session_state["keys-open-kind"] = (key, kind)


def last_kind(key: bytes) -> str | None:
    """Of what type the open key was when a store was last asked; None when none was."""
    seen, kind = st.session_state.get("keys-open-kind", (None, None))
    return kind if seen == key else None


def open_key(key: bytes | None, seen: KeyRow | None = None) -> None:
    """Show a key's details, or none; `seen` is what the list said of it."""
    st.session_state["keys-open-key"] = key_text(key) if key else ""
    st.session_state["keys-open-row"] = seen
    st.session_state.pop("keys-places", None)
    close_form()


def form() -> tuple[str, Any] | None:
    """The form that is open below the key, and what it is about."""
    found: tuple[str, Any] | None = st.session_state.get("keys-form")
    return found


def open_form(name: str, about: Any = None) -> None:
    close_form()
    st.session_state["keys-form"] = (name, about)


def close_form() -> None:
    """A form that opens again starts from the values of then."""
    for name in [name for name in st.session_state if str(name).startswith("keys-form")]:
        del st.session_state[name]
