"""Why a store that answers does not take what it is sent, told from its words.

What concerns the store as a whole is tried again until it does; what concerns one key must not hold up the others.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = [
    "Refusal",
    "is_of_writes",
    "is_out_of_memory",
    "is_unknown_command",
    "is_unknown_script",
    "reason_of",
    "refusal_of",
]


class Refusal(Enum):
    """The value says what to do, in words for an operator."""

    OUTAGE = "it is busy with itself, and will answer later"
    FULL = "it is full, or its quota is used up: free space or raise the limit"
    CONFIGURATION = "its configuration or this user's permissions forbid it: change them"
    THIS_KEY = "it cannot hold this key as it is"


_WORDS: Final = (
    (Refusal.THIS_KEY, ("permissions to access a key", "permissions to access one of the keys")),
    (
        Refusal.OUTAGE,
        (
            "loading",
            "master is down",
            "cluster is down",
            "clusterdown",
            "tryagain",
            "rehashing of slot",
            "busy running",
            "not enough good replicas",
        ),
    ),
    (Refusal.FULL, ("used memory", "misconf", "configured to save", "quota exceeded", "limit exceeded")),
    (Refusal.CONFIGURATION, ("read only replica", "permission", "authentication", "username-password", "of clients")),
)
"""The first that fits counts.

Upstash says `ERR DB capacity quota exceeded` over its storage, and `... limit exceeded` over its request quotas (its
documentation, 2026); the others are from the texts of Redis and Valkey, whose prefixes (`OOM`, `READONLY`) redis-py
cuts off. "max request size" is about one command."""


_WRITES: Final = (
    "read only replica",
    "misconf",
    "configured to save",
    "not enough good replicas",
    "force unblock",  # a command that waited when its server became a replica
)


_UNKNOWN_COMMAND: Final = ("unknown command", "unknown subcommand", "command is not available")


def refusal_of(error: object) -> Refusal:
    """The kind of an error reply. What is not known concerns the key: the others go on, and the key is reported."""
    text = str(error).lower()
    for kind, words in _WORDS:
        if any(word in text for word in words):
            return kind
    return Refusal.THIS_KEY


def is_of_writes(error: object) -> bool:
    """Whether a server of one's own answers reads, and takes no writes whatever they are: it became a replica, cannot
    save, or lacks replicas."""
    text = str(error).lower()
    return any(words in text for words in _WRITES)


def is_out_of_memory(error: object) -> bool:
    """Whether a server of one's own has no memory left for what a command adds; what frees some is taken."""
    return "used memory" in str(error).lower()


def is_unknown_command(error: object) -> bool:
    """Whether the store has no such command: it is older, or lacks a module."""
    text = str(error).lower()
    return any(words in text for words in _UNKNOWN_COMMAND)


def is_unknown_script(error: object) -> bool:
    """Whether the store does not have the script that it is to run: it was restarted, or its cache was emptied."""
    return "no matching script" in str(error).lower()


def reason_of(error: object) -> str:
    """The words of an error reply without the caller's data: a server quotes arguments that follow an unknown name."""
    return str(error).partition(", with args beginning with")[0]
