"""Redis Cluster's keyspace: 16,384 slots, each on one node. A key's slot follows from its name, or from the part of it
in braces."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Final

from hybrid.core.commands import keys_of, lookup
from hybrid.core.names import RESERVED
from hybrid.core.resp import unpack
from hybrid.errors import CommandRefused

__all__ = ["HOME", "crosses_slots", "keys_named", "own_name", "slot_of", "tag_of"]

SLOTS: Final = 16_384
_OWN: Final = b"hybrid:{hybrid}:"


def slot_of(key: bytes) -> int:
    return crc_hqx(_hashed(key), 0) % SLOTS


def tag_of(key: bytes) -> bytes:
    """What, in braces, gives another key the slot of `key`."""
    hashed = _hashed(key)
    if hashed and b"}" not in hashed:
        return hashed
    slot = slot_of(key)
    return next(text for text in map(b"%d".__mod__, count()) if slot_of(text) == slot)


def own_name(key: bytes) -> bytes:
    """The name on a cluster of a key that is hybrid's own; a temporary one stands beside the key that it is for."""
    if not key.startswith(RESERVED) or b"{" in key:
        return key
    return _OWN + key.removeprefix(RESERVED)


def keys_named(args: Sequence[bytes]) -> list[bytes]:
    """The keys of a command; none of one that is not in the table."""
    try:
        return keys_of(lookup(args), args)
    except CommandRefused:
        return []


def crosses_slots(commands: Iterable[bytes]) -> bool:
    """Whether one of the packed `commands` has keys in several slots, so that a cluster does not run it."""
    return any(len({slot_of(key) for key in keys_named(unpack(packed))}) > 1 for packed in commands)


def _hashed(key: bytes) -> bytes:
    start = key.find(b"{")
    end = key.find(b"}", start + 1)
    return key[start + 1 : end] if start >= 0 and end > start + 1 else key


HOME: Final = slot_of(_OWN)
"""The slot of hybrid's own keys, so that one transaction can change several of them."""
