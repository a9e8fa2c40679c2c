"""Commands on streams."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import itemgetter
from typing import Any

from .keyspace import OK, Error, Id, Keyspace, Stream, command

__all__: list[str] = []


def id_text(place: Id) -> bytes:
    return b"%d-%d" % place


def id_of(text: bytes, missing: int = 0) -> Id:
    ms, _, sequence = text.partition(b"-")
    return int(ms), int(sequence) if sequence else missing


def _trimmed(db: Keyspace, key: bytes, stream: Stream, options: tuple[bytes, ...]) -> int:
    words = [option for option in options if option not in (b"~", b"=")]
    how, limit = words[0].upper(), words[1]
    before = len(stream.entries)
    if how == b"MAXLEN":
        stream.entries = stream.entries[max(0, before - int(limit)) :]
    else:
        stream.entries = stream.entries[bisect_left(stream.entries, id_of(limit), key=itemgetter(0)) :]
    if len(stream.entries) < before:
        db.keep(key, "stream", stream)
    return before - len(stream.entries)


@command("XADD")
def xadd(db: Keyspace, key: bytes, *args: bytes) -> Any:
    stream: Stream = db.of(key, "stream")
    trim: tuple[bytes, ...] = ()
    if args[0].upper() in (b"MAXLEN", b"MINID"):
        size = 3 if args[1] in (b"~", b"=") else 2
        trim, args = args[:size], args[size:]
    name, *fields = args
    if name == b"*":
        ms = max(db.now_ms, stream.last[0])
        place = (ms, stream.last[1] + 1 if ms == stream.last[0] else 0)
    else:
        place = id_of(name)
        if place <= stream.last:
            raise Error("ERR The ID specified in XADD is equal or smaller than the target stream top item")
    stream.entries.append((place, list(fields)))
    stream.last, stream.added = place, stream.added + 1
    db.keep(key, "stream", stream)
    if trim:
        _trimmed(db, key, stream, trim)
    return id_text(place)


@command("XTRIM")
def xtrim(db: Keyspace, key: bytes, *options: bytes) -> Any:
    return _trimmed(db, key, db.of(key, "stream"), options) if key in db.values else 0


@command("XLEN")
def xlen(db: Keyspace, key: bytes) -> Any:
    return len(db.of(key, "stream").entries)


@command("XRANGE")
def xrange_(db: Keyspace, key: bytes, first: bytes, last: bytes, *options: bytes) -> Any:
    low = (0, 0) if first == b"-" else id_of(first.lstrip(b"("))
    high = (2**64, 0) if last == b"+" else id_of(last.lstrip(b"("), 2**64)
    found = [
        [id_text(place), list(fields)]
        for place, fields in db.of(key, "stream").entries
        if low <= place <= high
        and not (first[:1] == b"(" and place == low)
        and not (last[:1] == b"(" and place == high)
    ]
    return found[: int(options[1])] if options else found


@command("XREVRANGE")
def xrevrange(db: Keyspace, key: bytes, last: bytes, first: bytes, *options: bytes) -> Any:
    found = xrange_(db, key, first, last)[::-1]
    return found[: int(options[1])] if options else found


@command("XREAD")
def xread(db: Keyspace, *args: bytes) -> Any:
    """Never blocks: that is the server's business. None when there is nothing."""
    words = [arg.upper() for arg in args]
    at = words.index(b"STREAMS")
    count = int(args[words.index(b"COUNT") + 1]) if b"COUNT" in words[:at] else 2**31
    key, after = args[at + 1], id_of(args[at + 2])
    entries = db.of(key, "stream").entries
    start = bisect_right(entries, after, key=itemgetter(0))
    found = [[id_text(place), list(fields)] for place, fields in entries[start : start + count]]
    return [[key, found]] if found else None


@command("XINFO")
def xinfo(db: Keyspace, what: bytes, key: bytes, *options: bytes) -> Any:
    if what.upper() != b"STREAM":
        raise Error("ERR only XINFO STREAM is simulated")
    if key not in db.values:
        raise Error("ERR no such key")
    stream: Stream = db.of(key, "stream")
    about: list[Any] = [b"length", len(stream.entries), b"last-generated-id", id_text(stream.last)]
    about += [b"max-deleted-entry-id", id_text(stream.deleted), b"entries-added", stream.added]
    if options:
        # Of FULL COUNT 0 only: everything.
        about += [b"entries", [[id_text(place), list(fields)] for place, fields in stream.entries], b"groups", []]
    return about


@command("XSETID")
def xsetid(db: Keyspace, key: bytes, place: bytes, *options: bytes) -> Any:
    if key not in db.values:
        raise Error("ERR no such key")
    stream: Stream = db.of(key, "stream")
    if id_of(place) < (stream.entries[-1][0] if stream.entries else (0, 0)):
        raise Error("ERR The ID specified in XSETID is smaller than the target stream top item")
    stream.last = id_of(place)
    if options:  # ENTRIESADDED n MAXDELETEDID id
        stream.added, stream.deleted = int(options[1]), id_of(options[3])
    db.keep(key, "stream", stream)
    return OK


@command("XDEL")
def xdel(db: Keyspace, key: bytes, *names: bytes) -> Any:
    stream: Stream = db.of(key, "stream")
    doomed = {id_of(name) for name in names}
    before = len(stream.entries)
    gone = [place for place, _ in stream.entries if place in doomed]
    stream.deleted = max([stream.deleted, *gone])
    stream.entries = [entry for entry in stream.entries if entry[0] not in doomed]
    if len(stream.entries) < before:
        db.keep(key, "stream", stream)
    return before - len(stream.entries)
