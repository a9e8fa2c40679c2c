"""The seal that is kept on the cloud store: how far the log of the lost local store was shipped, see `last_word`."""

from __future__ import annotations

from typing import Any

from hybrid.core.authority import Authority, Position, position
from hybrid.core.resp import pack
from hybrid.replication.records import one
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire

__all__ = ["kept_seal", "restate"]


def kept_seal(cloud: Wire, key: bytes, authority: Authority) -> tuple[Position, Position | None]:
    """How far the local log was surely shipped, and up to where it may have been, as the last shipper said in this
    epoch. Without its word, nothing is sure, and everything is possible (None)."""
    record = one(cloud, "GET", key)
    if record is not None:
        epoch, place, *doubt = record.decode().split(" ")
        if int(epoch) == authority.epoch:
            return position(place), position(doubt[0]) if doubt else None
    return (0, 0), None


def restate(endpoint: Endpoint, wire: Wire, authority: Authority) -> None:
    """The cloud store keeps the authority, under the next record. What was said of the lost local log stays valid.

    `wire.authority` is the record that stands afterwards. Raises NotSent or ReplyLost.
    """
    key = endpoint.names.seal
    also: list[tuple[Any, ...]] = []
    record = wire.exchange(pack(("GET", key)), 1, decode=False)[0]
    if isinstance(record, bytes):
        epoch, _, places = record.partition(b" ")
        if int(epoch) == authority.epoch - 1:
            also.append(("SET", key, b"%d %b" % (authority.epoch, places)))
    endpoint.move(wire, authority, also=also)
