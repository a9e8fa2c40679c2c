"""The archive of conflicts goes to the other store by what is new in it: it may be 64 MB, and grows at its end only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hybrid.core.resp import pack
from hybrid.core.shipping import failed
from hybrid.core.state_replies import place_in
from hybrid.replication.tail import ask_place

if TYPE_CHECKING:
    from hybrid.replication.copied import Copied
    from hybrid.replication.stream import Stream

__all__ = ["extend_archive"]

PAGE_ENTRIES: Final = 50


def extend_archive(stream: Stream, copied: Copied) -> bool:
    """Give the other store's archive the entries that it lacks at its end, and drop those at its beginning that the
    source has dropped. False where that does not make the two the same: then it is to be copied whole.

    An entry never changes. So they are the same if the newest one there stands here too, and both count as many.
    """
    key, answers = stream.names.conflicts, list[Any]()
    last = _newest_there(stream)
    if last is None:
        return False
    described, oldest, page, length = _asked(stream, ask_place(stream.names.log), *_look(key, last))
    if failed((oldest, page, length)) or not page or page[0][0] != last:
        return False
    place = place_in(described)
    copied.note({key: place}, place)
    new = page[1:]
    while new:
        for entry_id, fields in new:
            stream.push(pack(("XADD", key, entry_id, *fields)), 1, answers.extend)
        stream.keep_going()
        if len(page) < PAGE_ENTRIES:
            break
        oldest, page, length = _asked(stream, *_look(key, b"(" + new[-1][0]))
        if failed((oldest, page, length)) or not oldest:
            return False
        new = page
    stream.push(pack(("XTRIM", key, "MINID", "=", oldest[0][0])) + pack(("XLEN", key)), 2, answers.extend)
    stream.await_replies()
    return failed(answers) is None and answers[-1] == length


def _newest_there(stream: Stream) -> bytes | None:
    """The id of the other store's last entry."""
    stream.await_replies()
    with stream.target_errors():
        found = stream.pipe.wire.exchange(pack(("XREVRANGE", stream.names.conflicts, "+", "-", "COUNT", 1)), 1)[0]
    return found[0][0] if found and not isinstance(found, Exception) else None


def _look(key: bytes, start: bytes) -> tuple[tuple[Any, ...], ...]:
    """The commands for the oldest entry, those from `start` on, and how many there are."""
    page = ("XRANGE", key, start, "+", "COUNT", PAGE_ENTRIES)
    return ("XRANGE", key, "-", "+", "COUNT", 1), page, ("XLEN", key)


def _asked(stream: Stream, *commands: tuple[Any, ...]) -> list[Any]:
    with stream.source_errors():
        return stream.states.exchange(b"".join(map(pack, commands)), len(commands))
