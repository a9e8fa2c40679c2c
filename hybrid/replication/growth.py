"""How long a log is, and whether it has passed its caps: then it is folded, see `hybrid.core.folding`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.core.transaction import ENTRY_BYTES
from hybrid.replication.volatile import ASK_FIELDS, may_have_expiring_fields
from hybrid.stores.wire import Wire
from hybrid.types import Store

if TYPE_CHECKING:
    from hybrid.replication.stream import Stream

__all__ = ["LEAST_PAGE", "Growth", "Length", "measured"]

MEASURE_S: Final = 2.0
MAX_ENTRIES: Final = 100_000
"""A longer log is folded. Half of the entries stay: the newest, whose keys tend to be written again."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""What a log may take before it is folded, however few entries that are."""

PAGE_BYTES: Final = 8 * 1024 * 1024
"""What is read of a log at a time, about: the server answers nobody meanwhile, and this process holds it."""

LEAST_PAGE: Final = PAGE_BYTES // ENTRY_BYTES
"""As many of the largest entries are no more than that."""


class Length(NamedTuple):
    """Of a log: 0 for what the server does not tell, as one without MEMORY USAGE."""

    entries: int
    size_bytes: int

    @property
    def is_too_long(self) -> bool:
        """Whether the log has passed either cap."""
        return self.entries > MAX_ENTRIES or self.size_bytes > MAX_BYTES

    def page(self, most: int) -> int:
        """How many entries to read at a time: `most`, if they are small."""
        return most if self.size_bytes <= PAGE_BYTES else self.share(PAGE_BYTES, least=LEAST_PAGE, most=most)

    def share(self, size_bytes: int, *, least: int, most: int) -> int:
        """How many entries have about that size."""
        return min(most, max(least, size_bytes * self.entries // max(self.size_bytes, 1)))


def _ask(names: Names) -> bytes:
    # All of its pieces: the first few, which a server would judge by, may hold small entries in front of large ones.
    return pack(("XLEN", names.log)) + pack(("MEMORY", "USAGE", names.log, "SAMPLES", 0))


def _told(replies: list[Any]) -> Length:
    return Length(*(reply if isinstance(reply, int) else 0 for reply in replies))


def measured(wire: Wire, names: Names) -> Length:
    """Two commands. Raises NotSent or ReplyLost."""
    return _told(wire.exchange(_ask(names), 2))


class Growth:
    """Of what `stream` ships: a log that grows faster than that is better folded. A key goes over once then, however
    often it is written. The cloud's, with its price by the command, is looked at when a stream begins.

    Attributes:
        is_too_long: whether the log has passed its caps.
        may_have_expiring_fields: whether the source may hold a hash whose fields expire one by one, as far as it tells.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._asked_s = time.monotonic()
        self.is_too_long = False
        self.may_have_expiring_fields = True

    def look(self) -> None:
        """Ask, now and then; nobody waits for the answer."""
        stream = self._stream
        if stream.source is Store.CLOUD or time.monotonic() - self._asked_s < MEASURE_S:
            return
        self._asked_s = time.monotonic()
        stream.control.push(_ask(stream.names) + ASK_FIELDS, 3, self._answered)
        stream.control.flush()

    def _answered(self, replies: list[Any]) -> None:
        *length, keyspace = replies
        self.is_too_long = _told(length).is_too_long
        self.note_keyspace(keyspace)

    def note_keyspace(self, reply: Any) -> None:
        """Take the reply to `ASK_FIELDS`."""
        self.may_have_expiring_fields = may_have_expiring_fields(reply)
