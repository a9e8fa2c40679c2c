"""How far the local log went, noted on both stores: by it a store is recognized that came back with older data.

Both kinds of loss leave the mark in place (a snapshot that was restored, an append-only file that lacks its end), so
only the positions tell. A refilled local store has a new mark and begins a new log: its life names the checkpoints.
"""

from __future__ import annotations

from typing import NamedTuple

from hybrid.core.authority import Position, position, position_text

__all__ = ["OUTDATED", "Checkpoint", "is_cloud_older", "is_local_older"]

OUTDATED = b"outdated"
"""Stands in place of the mark of a store whose data is older than what is known of it, until it is refilled."""


class Checkpoint(NamedTuple):
    """In this `life` of the local store, its log has reached `place`, and everything up to there was sent."""

    life: bytes
    place: Position

    @property
    def packed(self) -> bytes:
        return self.life + b" " + position_text(self.place)

    @classmethod
    def parse(cls, packed: bytes | None) -> Checkpoint | None:
        if packed is None:
            return None
        life, place = packed.rsplit(b" ", 1)
        return cls(life, position(place))


def is_local_older(life: bytes | None, end: Position, on_cloud: Checkpoint | None) -> bool:
    """Whether the local log, which ends at `end`, has gone further once. `on_cloud` must be read before `end`."""
    return on_cloud is not None and on_cloud.life == life and end < on_cloud.place


def is_cloud_older(on_local: Checkpoint | None, on_cloud: Checkpoint | None) -> bool:
    """Whether the cloud store has had a later checkpoint, which is noted on the local one only after it was. `on_local`
    must be read before `on_cloud`."""
    if on_local is None:
        return False
    return on_cloud is None or (on_cloud.life == on_local.life and on_cloud.place < on_local.place)
