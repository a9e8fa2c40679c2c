"""One entry of the conflict archive: a value that lost, the value that won, who wrote them, when and where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hybrid.core.resp import unpack_all
from hybrid.core.shipping import Field
from hybrid.types import Store

__all__ = ["KEPT_BYTES", "KEPT_ENTRIES", "KEPT_S", "Conflict", "Side", "expires_at_ms", "is_same_value"]

KEPT_ENTRIES: Final = 10_000
KEPT_S: Final = 30 * 86_400.0
KEPT_BYTES: Final = 64 * 1024 * 1024
"""The archive is bounded by all three; the oldest entries go first."""

Command = list[bytes]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two values. `value` holds the commands that make the key so, one after the other, packed; `at_ms` is
    the time of its last write by the clock of `store`, None if not known; `by` tells who wrote it (the writer's
    token where the log had one), empty if not known.
    """

    store: Store
    value: bytes
    at_ms: int | None = None
    by: str = ""

    @property
    def commands(self) -> Iterator[Command]:
        return unpack_all(self.value)

    @property
    def apart(self) -> bytes | None:
        """The key of hybrid's own that holds the value, on `store` alone, where it is too large for the archive."""
        first = next(self.commands, None)
        return first[1] if first and first[0] == b"COPY" else None


@dataclass(frozen=True, slots=True)
class Conflict:
    """`lost` is archived, `kept` was live when the conflict was settled. `id` is the entry's place in the archive, its
    first half the time of archiving in milliseconds; `why` is for people."""

    id: str
    key: bytes
    lost: Side
    kept: Side
    why: str = ""

    @property
    def archived_at_ms(self) -> int:
        return int(self.id.partition("-")[0])

    @property
    def size_bytes(self) -> int:
        return len(self.lost.value) + len(self.kept.value)

    @property
    def fields(self) -> tuple[Any, ...]:
        """As it stands in the archive."""
        lost, kept = self.lost, self.kept
        return (
            *("key", self.key, "store", lost.store.value, "at", lost.at_ms or 0, "by", lost.by, "restore", lost.value),
            *("kept_at", kept.at_ms or 0, "kept_by", kept.by, "kept", kept.value, "why", self.why),
        )

    @classmethod
    def parse(cls, entry_id: bytes | str, flat: Sequence[bytes]) -> Conflict:
        """From an entry of the archive, also of one that an older version wrote. Raises KeyError or ValueError."""
        pairs: dict[bytes, bytes] = dict(_paired(flat))
        store = Store(pairs[b"store"].decode())

        def side(of: Store, value: bytes, prefix: bytes) -> Side:
            at_ms, by = int(pairs.get(prefix + b"at", b"0")), pairs.get(prefix + b"by", b"")
            return Side(of, pairs.get(value, b""), at_ms or None, by.decode(errors="replace"))

        return cls(
            entry_id.decode() if isinstance(entry_id, bytes) else entry_id,
            pairs[b"key"],
            side(store, b"restore", b""),
            side(store.other, b"kept", b"kept_"),
            pairs.get(b"why", b"").decode(errors="replace"),
        )


def is_same_value(a: bytes, b: bytes) -> bool:
    """Whether packed commands make the same value; members of what has no order may stand in any."""
    return a == b or _content(a) == _content(b)


def _content(packed: bytes) -> list[tuple[bytes, Any]]:
    found: list[tuple[bytes, Any]] = []
    for name, _, *operands in unpack_all(packed):
        width = _UNORDERED.get(name)
        elements: Any = operands
        if width:
            elements = {tuple(operands[at : at + width]) for at in range(0, len(operands), width)}
            if found and found[-1][0] == name:  # one value in several commands
                elements |= found.pop()[1]
        found.append((name, elements))
    return found


def expires_at_ms(packed: bytes) -> int | None:
    """When the value that the packed commands make ends, in Unix milliseconds; None for never."""
    for name, _, *operands in unpack_all(packed):
        if name == b"PEXPIREAT":
            return int(operands[0])
        if name == b"SET" and len(operands) > 2 and operands[1] == b"PXAT":
            return int(operands[2])
    return None


_UNORDERED: Final = {b"SADD": 1, b"HSET": 2, b"ZADD": 2}


def _paired(flat: Sequence[bytes]) -> Iterator[Field]:
    return zip(flat[::2], flat[1::2], strict=True)
