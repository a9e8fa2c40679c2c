"""What is in a store: biggest keys, namespaces, expiry, hot keys. Names are scanned whole; all keys are measured, or a
sample of them.

A name costs a thousandth of a command (SCAN), a measured key two commands (MEMORY USAGE, PTTL), three where the store
counts accesses (OBJECT FREQ). So counts are exact, and memory is the measured mean times the count.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from threading import Event
from typing import Any, Final

import redis

from hybrid.core.names import RESERVED
from hybrid.core.spending import Price
from hybrid.ops.diff.export import shown
from hybrid.ops.diff.readers import kind_name
from hybrid.ops.insights import NotOffered, not_offered
from hybrid.stores.exchange import Command, RedisConnection, exchange
from hybrid.types import Store

__all__ = ["TTL_BOUNDS_S", "KeyUse", "Keyspace", "NamespaceUse", "ScanCost", "ScanLimits", "scan_cost", "scan_keyspace"]

PAGE_KEYS: Final = 1000
MOST_NAMESPACES: Final = 5000
OTHERS: Final = "(others)"
NO_PREFIX: Final = "(no prefix)"
TTL_BOUNDS_S: Final = (60, 3600, 86_400, 7 * 86_400, 30 * 86_400)
"""Upper bounds of the classes of time left; then comes all that lives longer, then what never expires."""

_LENGTHS: Final[dict[bytes, bytes]] = {
    b"string": b"STRLEN", b"list": b"LLEN", b"set": b"SCARD", b"zset": b"ZCARD", b"hash": b"HLEN", b"stream": b"XLEN",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """`measured` keys at most are measured, evenly spread, all of them for None; the scan ends after `seconds`. `depth`
    parts of a name, cut at `:`, make its namespace; `top` keys are listed."""

    measured: int | None = 20_000
    seconds: float = 3600.0
    depth: int = 1
    top: int = 50


@dataclass(frozen=True, slots=True)
class ScanCost:
    """What a scan costs before it is run; `usd` is 0 on a store that does not bill commands."""

    commands: int
    usd: float


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One measured key. `type` and `length` (elements, or bytes of a string) are None for what is gone meanwhile;
    `ttl_s` is None for a key that never expires, `frequency` the server's logarithmic count of accesses."""

    key: str
    type: str | None
    size_bytes: int | None
    length: int | None
    ttl_s: float | None
    frequency: int | None


@dataclass(frozen=True, slots=True)
class NamespaceUse:
    """Keys with a common prefix. `memory_bytes` is estimated from `measured` keys, None when none of them was."""

    name: str
    keys: int
    measured: int
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Keyspace:
    """One scan. `ending` is finished, cancelled or out of time; what was not reached is not in the counts.

    `keys` are those of the store, without hybrid's own as far as these were met; `ttls` are measured keys by class of
    `TTL_BOUNDS_S`, then longer, then those that never expire. `whole`: every key was measured, but
    for those that came or went meanwhile.
    """

    store: Store
    at_s: float
    took_s: float
    ending: str
    keys: int
    scanned: int
    measured: int
    commands: int
    biggest: tuple[KeyUse, ...] | NotOffered
    hottest: tuple[KeyUse, ...] | NotOffered
    namespaces: tuple[NamespaceUse, ...]
    ttls: tuple[int, ...]
    whole: bool = False


OnProgress = Callable[[int, int, int], None]
"""Gets keys scanned, keys in the store, commands so far."""


def scan_cost(keys: int, limits: ScanLimits, price: Price | None) -> ScanCost:
    """An upper estimate for a store of `keys`; `price` is None where commands are not billed."""
    measured = keys if limits.measured is None else min(keys, limits.measured)
    commands = 3 + ceil(keys / PAGE_KEYS) + 3 * measured + 2 * limits.top
    return ScanCost(commands, price.commands_usd(commands) if price else 0.0)


def scan_keyspace(
    connection: RedisConnection,
    store: Store,
    limits: ScanLimits,
    cancel: Event,
    on_progress: OnProgress = lambda *_: None,
) -> Keyspace:
    """Scan the store once. Raises redis.RedisError when the connection fails."""
    return _Scan(connection, store, limits).run(cancel, on_progress)


class _Scan:
    """The sums of a scan under way. Memory is bounded: namespaces by number, keys by the lists' length."""

    def __init__(self, connection: RedisConnection, store: Store, limits: ScanLimits) -> None:
        self._connection = connection
        self._store = store
        self._limits = limits
        self._commands = 0
        self._stride = 1
        self._scanned = self._measured = self._own = 0
        self._spaces: dict[str, list[int]] = {}  # name: keys, measured, bytes
        self._ttls = [0] * (len(TTL_BOUNDS_S) + 2)
        self._biggest: list[tuple[int, bytes, int]] = []  # bytes, key, milliseconds left
        self._hottest: list[tuple[int, bytes, int]] = []
        self._sizes_refused: NotOffered | None = None
        self._frequency_refused: NotOffered | None = None

    def run(self, cancel: Event, on_progress: OnProgress) -> Keyspace:
        began_s, cursor, ending = time.monotonic(), b"0", "finished"
        (total,) = self._ask([(b"DBSIZE",)])
        wanted = self._limits.measured
        self._stride = 1 if wanted is None else max(1, ceil(total / max(wanted, 1)))
        while True:
            page = self._ask([(b"SCAN", cursor, b"COUNT", b"%d" % PAGE_KEYS)])[0]
            if isinstance(page, redis.ResponseError):
                raise page
            cursor = bytes(page[0])
            keys = [key for key in page[1] if not key.startswith(RESERVED)]
            self._own += len(page[1]) - len(keys)
            self._take(keys)
            on_progress(self._scanned, max(total - self._own, self._scanned), self._commands)
            if cursor == b"0":
                break
            if cancel.is_set() or time.monotonic() - began_s > self._limits.seconds:
                ending = "cancelled" if cancel.is_set() else "out of time"
                break
        return self._result(ending, total, began_s)

    def _ask(self, commands: Sequence[Command]) -> list[Any]:
        self._commands += len(commands)
        return exchange(self._connection, commands) if commands else []

    def _take(self, keys: Sequence[bytes]) -> None:
        sample = []
        for number, key in enumerate(keys, self._scanned):
            self._space(key)[0] += 1
            if number % self._stride == 0:
                sample.append(key)
        self._scanned += len(keys)
        self._measure(sample)

    def _space(self, key: bytes) -> list[int]:
        parts = key.split(b":", self._limits.depth)
        name = shown(b":".join(parts[: self._limits.depth])) if len(parts) > 1 else NO_PREFIX
        if name not in self._spaces and len(self._spaces) >= MOST_NAMESPACES:
            name = OTHERS
        return self._spaces.setdefault(name, [0, 0, 0])

    def _measure(self, keys: Sequence[bytes]) -> None:
        if not keys:
            return
        ttls = self._ask([(b"PTTL", key) for key in keys])
        sizes = self._each(keys, "MEMORY USAGE", self._sizes_refused, b"MEMORY", b"USAGE")
        counts = self._each(keys, "OBJECT FREQ", self._frequency_refused, b"OBJECT", b"FREQ")
        if isinstance(sizes, NotOffered):
            self._sizes_refused = sizes
        if isinstance(counts, NotOffered):
            self._frequency_refused = counts
        for number, (key, left_ms) in enumerate(zip(keys, ttls, strict=True)):
            if not isinstance(left_ms, int) or left_ms == -2:
                continue  # it expired since it was scanned
            self._measured += 1
            self._ttls[_ttl_class(left_ms)] += 1
            if not isinstance(sizes, NotOffered) and isinstance(sizes[number], int):
                space = self._space(key)
                space[1] += 1
                space[2] += sizes[number]
                self._keep(self._biggest, sizes[number], key, left_ms)
            if not isinstance(counts, NotOffered) and isinstance(counts[number], int):
                self._keep(self._hottest, counts[number], key, left_ms)

    def _each(
        self, keys: Sequence[bytes], name: str, refused: NotOffered | None, *words: bytes
    ) -> list[Any] | NotOffered:
        """The command for each key; the first one is tried alone, so that a refusal costs one command only."""
        if refused:
            return refused
        first = self._ask([(*words, keys[0])])
        return not_offered(name, first[0]) or first + self._ask([(*words, key) for key in keys[1:]])

    def _keep(self, heap: list[tuple[int, bytes, int]], value: int, key: bytes, left_ms: int) -> None:
        (heapq.heappush if len(heap) < self._limits.top else heapq.heappushpop)(heap, (value, key, left_ms))

    def _result(self, ending: str, total: int, began_s: float) -> Keyspace:
        biggest = self._listed(self._biggest, hot=False)
        hottest = self._listed(self._hottest, hot=True)
        return Keyspace(
            store=self._store,
            at_s=time.time(),
            took_s=time.monotonic() - began_s,
            ending=ending,
            keys=max(total - self._own, self._scanned),
            scanned=self._scanned,
            measured=self._measured,
            commands=self._commands,
            biggest=self._sizes_refused or biggest,
            hottest=self._hot_refusal() or hottest,
            namespaces=self._namespaces(),
            ttls=tuple(self._ttls),
            whole=ending == "finished" and self._stride == 1,
        )

    def _hot_refusal(self) -> NotOffered | None:
        if self._frequency_refused is None:
            return None
        why = "This store does not count how often a key is used (OBJECT FREQ, with an LFU eviction policy)."
        return NotOffered("OBJECT FREQ", why)

    def _listed(self, heap: list[tuple[int, bytes, int]], *, hot: bool) -> tuple[KeyUse, ...]:
        """The kept keys, largest first, with what is only worth asking for these few."""
        kept = sorted(heap, reverse=True)
        types = [bytes(each) for each in self._ask([(b"TYPE", key) for _, key, _ in kept])]
        lengths = self._ask(
            [(_LENGTHS.get(type_, b"EXISTS"), key) for type_, (_, key, _) in zip(types, kept, strict=True)]
        )
        return tuple(
            KeyUse(
                key=shown(key),
                type=None if type_ == b"none" else kind_name(type_),
                size_bytes=None if hot else value,
                length=length if type_ in _LENGTHS and isinstance(length, int) else None,
                ttl_s=None if left_ms < 0 else left_ms / 1000,
                frequency=value if hot else None,
            )
            for (value, key, left_ms), type_, length in zip(kept, types, lengths, strict=True)
        )

    def _namespaces(self) -> tuple[NamespaceUse, ...]:
        rows = [
            NamespaceUse(name, keys, measured, round(size / measured * keys) if measured else None)
            for name, (keys, measured, size) in self._spaces.items()
        ]
        return tuple(sorted(rows, key=lambda row: (-(row.memory_bytes or 0), -row.keys, row.name)))


def _ttl_class(left_ms: int) -> int:
    if left_ms < 0:
        return len(TTL_BOUNDS_S) + 1
    return next((place for place, bound_s in enumerate(TTL_BOUNDS_S) if left_ms < bound_s * 1000), len(TTL_BOUNDS_S))
