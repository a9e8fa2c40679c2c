"""Why a store that answers does not take what it is sent, told from its words.

What concerns the store as a whole is tried again until it does; what concerns one key must not hold up the others.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ["Refusal", "refusal_of"]


class Refusal(Enum):
    """The value says what to do, in words for an operator."""

    OUTAGE = "it is busy with itself, and will answer later"
    FULL = "it is full, or its quota is used up: free space or raise the limit"
    CONFIGURATION = "its configuration or this user's permissions forbid it: change them"
    THIS_KEY = "it cannot hold this key as it is"


_WORDS: Final = (
    (Refusal.OUTAGE, ("loading", "master is down", "cluster is down", "clusterdown", "tryagain", "busy running")),
    (Refusal.FULL, ("used memory", "misconf", "configured to save", "quota exceeded", "limit exceeded")),
    (Refusal.CONFIGURATION, ("read only replica", "permission", "authentication", "username-password", "of clients")),
)
"""Upstash says `ERR DB capacity quota exceeded` over its storage, and `... limit exceeded` over its request quotas (its
documentation, 2026); the others are from the texts of Redis and Valkey, whose prefixes (`OOM`, `READONLY`) redis-py
cuts off. "max request size" is about one command."""


def refusal_of(error: object) -> Refusal:
    """The kind of an error reply. What is not known concerns the key: the others go on, and the key is reported."""
    text = str(error).lower()
    for kind, words in _WORDS:
        if any(word in text for word in words):
            return kind
    return Refusal.THIS_KEY
