"""Keeps what was measured in bounded space: ten seconds become minutes, minutes ten minutes, traffic becomes days.

Any process may fold, each span is folded exactly once: the target is watched, and the id of its last entry says up to
where its source is folded. A source's ids are the server's clock, so a span that is over gets no more entries.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from hybrid.core.metrics import Record, by_slot
from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.replication.records import checked
from hybrid.stores.wire import Wire

__all__ = ["KEPT_S", "fold", "keys_by_span", "records_of"]

HOUR_S: Final = 3600
KEPT_S: Final = {10: 2 * HOUR_S, 60: 26 * HOUR_S, 600: 8 * 24 * HOUR_S}
"""How long records of so many seconds are kept."""

MOST_FINE: Final = 20_000
"""Entries of ten seconds, which grow with the number of processes; the others do not."""

MOST_DAYS_FIELDS: Final = 6_000
KEPT_DAYS: Final = 400


def keys_by_span(names: Names) -> dict[int, bytes]:
    """The stream that holds the records of so many seconds."""
    return {10: names.metrics_10, 60: names.metrics_60, 600: names.metrics_600}


def records_of(entries: Iterable[tuple[bytes, Sequence[bytes]]]) -> list[Record]:
    """The records in entries of a stream; one that was sent twice counts once."""
    records: dict[bytes, Record] = {}
    for place, fields in entries:
        named = dict(zip(fields[::2], fields[1::2], strict=True))
        try:
            records.setdefault(named.get(b"n", place), Record.unpacked(named.get(b"d", b"")))
        except ValueError:
            continue  # of another version, or not ours
    return list(records.values())


def fold(wire: Wire, names: Names) -> None:
    """Fold what is due. Raises NotSent, also where the store refuses to be read, or ReplyLost."""
    _fold(wire, names.metrics_10, names.metrics_60, 60, names.metrics_days)
    _fold(wire, names.metrics_60, names.metrics_600, 600, None)


def _fold(wire: Wire, source: bytes, target: bytes, span_s: int, days: bytes | None) -> None:
    _, clock, last = checked(wire, ("WATCH", target), ("TIME",), ("XREVRANGE", target, "+", "-", "COUNT", 1))
    done_ms = int(last[0][0].partition(b"-")[0]) if last else 0
    until_ms = int(clock[0]) // span_s * span_s * 1000
    entries: Any = []
    if until_ms > done_ms:
        entries = wire.exchange(pack(("XRANGE", source, done_ms, until_ms - 1)), 1)[0]
    records = by_slot(records_of(entries), span_s) if isinstance(entries, list) else []
    if not records:
        wire.exchange(pack(("UNWATCH",)), 1)
        return
    commands = [("MULTI",), *_folded(records, target, span_s, until_ms)]
    if days:
        commands += [*_counted(records, days), ("XTRIM", source, "MAXLEN", "~", MOST_FINE)]
    commands.append(("EXEC",))
    wire.exchange(b"".join(map(pack, commands)), len(commands))
    if days:
        _forget_days(wire, days)


def _folded(records: list[Record], target: bytes, span_s: int, until_ms: int) -> list[tuple[Any, ...]]:
    oldest_ms = until_ms - KEPT_S[span_s] * 1000
    head = ("XADD", target, "MINID", "~", oldest_ms)
    return [(*head, f"{until_ms}-{index}", "d", record.packed()) for index, record in enumerate(records)]


def _counted(records: list[Record], days: bytes) -> list[tuple[Any, ...]]:
    """Traffic by day (UTC), store and purpose."""
    return [
        ("HINCRBY", days, f"{day_of(record.at_s)}|{store}|{purpose}|{what}", number)
        for record in records
        for (store, purpose), numbers in record.traffic.items()
        for what, number in zip(("commands", "sent", "received"), numbers, strict=True)
        if number and store == "cloud"
    ]


def _forget_days(wire: Wire, days: bytes) -> None:
    if wire.exchange(pack(("HLEN", days)), 1)[0] <= MOST_DAYS_FIELDS:
        return
    oldest = day_of(time.time() - KEPT_DAYS * 86400).encode()
    old = [name for name in wire.exchange(pack(("HKEYS", days)), 1)[0] if name < oldest]
    if old:
        wire.exchange(pack(("HDEL", days, *old)), 1)


def day_of(at_s: float) -> str:
    """The day (UTC) of a Unix time, as 2026-01-31."""
    return time.strftime("%Y-%m-%d", time.gmtime(at_s))
