"""Notes on both stores how far the local log has gone, and looks at the notes when a stream begins, and at each new one
whether the one before it is still there."""

from __future__ import annotations

import time
from typing import Any, Final

from hybrid.core.authority import position
from hybrid.core.checkpoint import OUTDATED, Checkpoint, is_cloud_older, is_local_older
from hybrid.core.health import Evidence
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent
from hybrid.core.resp import pack
from hybrid.replication.endings import TargetLost
from hybrid.replication.records import checked
from hybrid.replication.stream import Stream
from hybrid.replication.tail import last_place
from hybrid.stores.pipe import ignore
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["Checkpoints", "outdating", "set_outdated"]

EVERY_ENTRIES: Final = 50
EVERY_S: Final = 60.0
"""Each is billed, and costs a fiftieth of a command for each write."""


class Checkpoints:
    """Of `stream`; does nothing where that ships the cloud's log."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._life: bytes | None = None
        self._is_there = False
        self._noted_s = time.monotonic()
        self._entries = 0

    def check(self) -> None:
        """Compare the notes. A cloud store that is older is found wiped, for the next stream to refill.

        Raises NotSent when the local store is older: it is to be refilled, and has no log to ship. Raises TargetLost.
        """
        stream, names = self._stream, self._stream.names
        if stream.source is not Store.LOCAL:
            return
        self._life, on_local = checked(stream.states, ("GET", names.identity), ("GET", names.checkpoint))
        found: list[Checkpoint | None] = []

        def read(replies: list[Any]) -> None:
            found.append(Checkpoint.parse(replies[0] if isinstance(replies[0], bytes) else None))
            self._is_there = found[0] is not None
            if is_cloud_older(Checkpoint.parse(on_local), found[0]) and not stream.refills:
                stream.fall_behind()
                stream.board.observe(Store.CLOUD, Evidence.WIPED)
                raise TargetLost

        stream.refills = stream.board.is_wiped(Store.CLOUD)
        stream.push(pack(("GET", names.checkpoint)), 1, read)
        if stream.opening.is_clean:
            return  # this run of the local server is known, and has lost nothing: writers need not wait for the answer
        stream.await_replies()
        if is_local_older(self._life, last_place(stream.states, names.log), found[0]):
            set_outdated(stream.states, names, self._life)
            stream.board.observe(Store.LOCAL, Evidence.WIPED)
            raise NotSent("the local store came back with older data")

    def forwarded(self, entries: int) -> None:
        """So many more entries are on their way."""
        self._entries += entries
        if self._life is None or (self._is_there and not self._entries):
            return
        now_s = time.monotonic()
        if not self._is_there or self._entries >= EVERY_ENTRIES or now_s - self._noted_s > EVERY_S:
            self._entries, self._noted_s = 0, now_s
            self._note(Checkpoint(self._life, position(self._stream.read_to)).packed)

    def _note(self, packed: bytes) -> None:
        stream, key = self._stream, self._stream.names.checkpoint

        def noted(replies: list[Any]) -> None:
            if replies[0] is None:
                # Emptied by hand, where no service says so on open connections: the note before this one is gone.
                stream.endpoints[Store.CLOUD].retire()
                stream.board.observe(Store.CLOUD, Evidence.WIPED)
                raise TargetLost
            stream.control.push(stream.lease.set(key, packed), 1, ignore)

        only_there = ("XX",) if self._is_there else ()
        self._is_there = True
        stream.push(pack(("SET", key, packed, *only_there)), 1, noted)
        stream.flush()


def set_outdated(wire: Wire, names: Names, mark: bytes | None) -> None:
    """Have everybody who greets the store take it for wiped, unless it was refilled already (has another mark). Its log
    is as old as its data, and must not be merged; nor must what is written there from now on, so the record goes, which
    whoever writes watches."""
    _, found = checked(wire, ("WATCH", names.identity), ("GET", names.identity))
    if found != mark:
        checked(wire, ("UNWATCH",))
        return
    checked(wire, ("MULTI",), *outdating(names), ("EXEC",))


def outdating(names: Names) -> list[tuple[Any, ...]]:
    """The commands that do so."""
    keys = names.authority, names.log, names.folded, names.folded_commands, names.stream, names.sent, names.partner
    return [("SET", names.identity, OUTDATED), ("DEL", *keys)]
