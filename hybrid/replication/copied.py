"""How far into the log the copied states of keys reach: what must not be replayed for them, and what of it nobody must
take for unsent."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hybrid.core.authority import Position, position, position_text
from hybrid.core.resp import pack
from hybrid.core.shipping import Entry, groups
from hybrid.core.state import Absent, Hash, KeyState
from hybrid.core.state_replies import place_in
from hybrid.types import Store

if TYPE_CHECKING:
    from hybrid.replication.stream import Stream

__all__ = ["Copied"]

MOST_LASTING: Final = 10_000
"""More keys than that are not all large, and copying them is what a catch-up does."""


class Copied:
    """The states that went over `stream`. `places` says for each key up to which place of the log its state reaches:
    entries up to there must not be replayed for it. `to`: where the log ended when the last one was read, at `noted_s`
    (monotonic clock). `lasting`: some of the keys that were copied and do not expire, for all that was shipped."""

    def __init__(self, stream: Stream) -> None:
        self.places: dict[bytes, Position] = {}
        self.lasting: set[bytes] = set()
        self.to: Position = (0, 0)
        self.noted_s = time.monotonic()
        self._stream = stream

    def place_command(self) -> bytes:
        """The request that tells `reached` how far the log goes: to be run in one transaction with reading states."""
        stream = self._stream
        if stream.source is Store.LOCAL:
            return self._ahead_command("+")
        return pack(("XINFO", "STREAM", stream.names.log))

    def reached(self, reply: Any) -> tuple[Position, Sequence[Entry] | None]:
        """The log's place, and the entries behind what was known of it if the reply brings them."""
        if self._stream.source is not Store.LOCAL:
            return place_in(reply), None
        return position(reply[-1][0]) if reply else self._known, reply

    def note(self, places: Mapping[bytes, Position], to: Position, ahead: Sequence[Entry] | None = None) -> None:
        """The states of these keys, as of these places, the last of which is `to`, are about to be sent. They may
        contain entries that were not read yet: should the source be lost now, their writers must not be told that
        nothing of them was shipped.

        `ahead` is what `reached` found; without it the source is asked.
        """
        self.places.update(places)
        self.lasting.difference_update(places)
        self.to = max(self.to, to)
        self.noted_s = time.monotonic()
        stream = self._stream
        if stream.source is not Store.LOCAL or to <= stream.sent_to:
            return
        if to > (known := self._known):
            if ahead is None:
                ahead = stream.states.exchange(self._ahead_command(position_text(to)), 1)[0]
            # More may be known by now than when the source was asked.
            unknown = [entry for entry in ahead if position(entry[0]) > known]
            for token in stream.ahead.read(groups(unknown, [])):
                stream.shipped.note(token)
            stream.maybe_to = to
        for token in stream.ahead.copied(places):
            stream.shipped.note(token)

    def see(self, key: bytes, state: KeyState | Absent) -> None:
        """This state of a key that was noted is about to be sent."""
        timed = isinstance(state, KeyState) and (
            state.expires_at_ms is not None or (isinstance(state.body, Hash) and bool(state.body.field_expires_at_ms))
        )
        if not timed and len(self.lasting) < MOST_LASTING:
            self.lasting.add(key)

    @property
    def _known(self) -> Position:
        return max(self._stream.maybe_to, self._stream.sent_to)

    def _ahead_command(self, end: str | bytes) -> bytes:
        return pack(("XRANGE", self._stream.names.log, b"(" + position_text(self._known), end))

    def forget_read(self) -> None:
        """Forget the places once all of them were read."""
        if self.places and position(self._stream.read_to) > self.to:
            self.places.clear()
