"""The mark on the local store: the cloud store was left alone since then (see `hybrid.replication.reunion`)."""

from __future__ import annotations

from typing import Final

__all__ = ["DUE", "KEPT", "apart_since", "mark_apart"]

DUE: Final = b"due"
KEPT: Final = b"kept"


def mark_apart(since_s: float, word: bytes = DUE) -> bytes:
    """The record; `since_s` is a Unix time."""
    return b"%b %f" % (word, since_s)


def apart_since(record: bytes) -> float:
    """The Unix time of a record; 0 for one that cannot be read."""
    try:
        return float(record.split()[1])
    except (IndexError, ValueError):
        return 0.0
