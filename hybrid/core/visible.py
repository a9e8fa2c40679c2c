"""What applications get to see: hybrid's own keys and channels are hidden, and a scan stays on the store it began on.

A SCAN cursor means something to one server only. Its lowest bit is made to name the store; if that store is lost, the
scan begins anew on the other one, which keeps SCAN's promise (every key at least once).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hybrid.core.libraries import as_loaded
from hybrid.core.names import RESERVED
from hybrid.types import Store

__all__ = ["ANEW", "CURSOR_AT", "LISTS", "SHOWN", "cursor_of", "is_reserved", "sent_cursor", "shown"]

CURSOR_AT: Final = {"SCAN": 1, "SSCAN": 2, "HSCAN": 2, "ZSCAN": 2}
"""Where the cursor stands among the arguments."""

ANEW: Final = 1
"""A cursor of no store, with which a scan begins anew."""

LISTS: Final = frozenset(("KEYS", "PUBSUB CHANNELS", "FUNCTION LIST"))
"""Replies with something of hybrid's: names of its keys or channels, or its words in a library's text."""

SHOWN: Final = frozenset((*CURSOR_AT, *LISTS, "DBSIZE", "RANDOMKEY", "FUNCTION STATS"))
"""All whose replies are not the application's as they come from a store."""


def sent_cursor(args: Sequence[Any], at: int, store: Store) -> tuple[Any, ...]:
    """The arguments for `store`: its own cursor, or 0 if the cursor came from the other store."""
    cursor, origin = cursor_of(args, at)
    if cursor is None:
        return tuple(args)
    return (*args[:at], cursor if origin in (None, store) else 0, *args[at + 1 :])


def cursor_of(args: Sequence[Any], at: int) -> tuple[int | None, Store | None]:
    """The server's cursor and the store it belongs to: no store where a scan begins, and neither without a cursor."""
    try:
        marked = int(args[at])
    except (IndexError, TypeError, ValueError):
        return None, None
    cursor = marked >> 1
    return (cursor, Store.CLOUD if marked & 1 else Store.LOCAL) if cursor else (0, None)


def shown(name: str, reply: Any, store: Store, *, doubtful: bool = False) -> Any:
    """The reply as the application is to see it. `doubtful`: it may be the other store that has answered, with a cursor
    sent that was not its own; such a scan goes on by beginning anew."""
    if isinstance(reply, Exception):
        return reply
    if name in CURSOR_AT:
        cursor, items = int(reply[0]), reply[1]
        marked = ANEW if doubtful else (cursor << 1 | (store is Store.CLOUD)) if cursor else 0
        return [str(marked).encode(), _visible(items) if name == "SCAN" else items]
    if name == "FUNCTION LIST":
        return as_loaded(reply)
    return _visible(reply) if name in LISTS else reply


def _visible(keys: Sequence[Any]) -> list[Any]:
    return [key for key in keys if not is_reserved(key)]


def is_reserved(key: Any) -> bool:
    """Whether it is a name of hybrid's own."""
    return bool(key.startswith(RESERVED if isinstance(key, bytes) else RESERVED.decode()))
