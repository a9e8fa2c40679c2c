"""The seal that is kept on the cloud store: how far the log of the lost local store was shipped, see `last_word`."""

from __future__ import annotations

from typing import Any

from hybrid.core.authority import Authority, Position, position
from hybrid.core.resp import pack
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire

__all__ = ["kept_seal", "restate", "restated"]


def kept_seal(record: bytes | None, authority: Authority) -> tuple[Position, Position | None]:
    """How far the local log was surely shipped, and up to where it may have been, as the last shipper said in this
    epoch. Without its word, nothing is sure, and everything is possible (None)."""
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
    record = wire.exchange(pack(("GET", key)), 1, decode=False)[0]
    endpoint.move(wire, authority, also=restated(key, record, authority))


def restated(key: bytes, record: Any, authority: Authority) -> list[tuple[Any, ...]]:
    """The commands by which the seal at `key` stays valid under `authority`, the next record."""
    if isinstance(record, bytes):
        epoch, _, places = record.partition(b" ")
        if int(epoch) == authority.epoch - 1:
            return [("SET", key, b"%d %b" % (authority.epoch, places))]
    return []
